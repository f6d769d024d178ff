#!/usr/bin/env bash
# Measures how a pass grows with prompts, tokens, layers and heads, draws it beside what it should grow as, and prints how far the two differ
# at most: linear in all, in tokens with attention's square.
#
#   tests/benchmark/scaling.sh [picture = docs/measured/scaling.png] [arguments of scaling_benchmark]
set -euo pipefail
cd "$(dirname "$0")/../.."
picture=${1:-docs/measured/scaling.png}
csv=build/scaling.csv
cmake --build --preset release --target scaling_benchmark
build/release/bin/scaling_benchmark "${@:2}" > "$csv"
gnuplot <<EOF
set datafile separator ','
set fit quiet logfile '/dev/null'
set terminal pngcairo size 1000,800 font ',11'
set output '$picture'
set multiplot layout 2,2
set key left top
set grid
set ylabel 'seconds'
set xrange [0:*]; set yrange [0:*]
do for [name in 'prompts tokens layers heads'] {
  file = sprintf("< grep '^%s,' $csv", name)
  a = 0.01; b = 0.001; c = (name eq 'tokens') ? 1e-6 : 0
  f(x) = a + b * x + c * x * x
  if (name eq 'tokens') {
    fit f(x) file using 2:3:(\$3) yerrors via a, b, c
  } else {
    fit f(x) file using 2:3:(\$3) yerrors via a, b
  }
  stats file using (abs(\$3 / f(\$2) - 1)) nooutput
  print sprintf('%-8s within %.1f %% of %.4f + %.3g x + %.3g x^2 s', name, 100 * STATS_max, a, b, c)
  set xlabel name
  plot file using 2:3 with points pt 7 title 'measured', f(x) with lines title (name eq 'tokens' ? 'linear with a square' : 'linear')
}
unset multiplot
EOF
echo "picture in $picture"
