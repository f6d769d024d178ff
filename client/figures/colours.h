// Colours that people with any colour vision tell apart.
#pragma once

#include <array>

namespace induct::client {

// Okabe and Ito's, without their yellow, which white paper swallows.
inline constexpr char kBlue[] = "#0072B2";
inline constexpr char kVermillion[] = "#D55E00";
inline constexpr char kGreen[] = "#009E73";
inline constexpr char kGrey[] = "#777777";
inline constexpr std::array kSeriesColours = {kBlue,     kVermillion, kGreen,   "#CC79A7",
                                              "#E69F00", "#56B4E9",   "#000000"};

// Viridis at 16 points: perceptually even, and readable without colour vision and in grey.
inline constexpr char kViridis[] =
    "set palette defined (0 '#440154', 1 '#481a6c', 2 '#472f7d', 3 '#414487', 4 '#39568c', 5 '#31688e', 6 "
    "'#2a788e', 7 '#23888e', 8 '#1f988b', 9 '#22a884', 10 '#35b779', 11 '#54c568', 12 '#7ad151', 13 "
    "'#a5db36', "
    "14 '#d2e21b', 15 '#fde725')\n";

// Blue below, white in the middle, orange above (ColorBrewer's PuOr, its purple made blue).
inline constexpr char kDiverging[] =
    "set palette defined (-5 '#08306b', -4 '#2171b5', -3 '#6baed6', -2 '#9ecae1', -1 '#d6e6f4', 0 '#ffffff', "
    "1 "
    "'#fee6ce', 2 '#fdae6b', 3 '#f16913', 4 '#a63603', 5 '#6b2302')\n";

}  // namespace induct::client
