// Numbers and texts as readers see them, and elements made of them. Texts from the data become text nodes, nothing else.

// 3 significant digits.
function numberText(value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return 'none';
  if (value === 0) return '0';
  const size = Math.abs(value);
  let text = value.toPrecision(3);
  if (size >= 1000) text = Number(text).toLocaleString('en-US');
  else if (size < 1e-4) text = value.toExponential(2);
  return text.replaceAll('-', '\u2212');
}

function intervalText(low, high) {
  return `[${numberText(low)}, ${numberText(high)}]`;
}

// [name, text] of the i-th interval, for a tooltip; none where the data have no intervals.
function intervalLine(name, lows, highs, i) {
  return lows && highs ? [[name, intervalText(lows[i], highs[i])]] : [];
}

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// The box that follows the pointer: lines of [name, text].
class Tooltip {
  constructor() {
    this.box = element('div', 'tooltip');
    this.box.hidden = true;
    document.body.append(this.box);
    addEventListener('scroll', () => this.hide(), {passive: true});  // what it is about moves on
  }

  show(event, lines) {
    this.box.replaceChildren(...lines.map(([name, text]) =>
      element('div', '', element('span', 'name', name), element('span', 'value', text))));
    this.box.hidden = false;
    this.place(event.clientX, event.clientY);
  }

  // Beside the pointer, within the window.
  place(x, y) {
    const gap = 14;
    const {width, height} = this.box.getBoundingClientRect();
    const left = x + gap + width > innerWidth ? x - gap - width : x + gap;
    const top = y + gap + height > innerHeight ? y - gap - height : y + gap;
    this.box.style.left = `${Math.max(left, 0)}px`;
    this.box.style.top = `${Math.max(top, 0)}px`;
  }

  hide() {
    this.box.hidden = true;
  }
}
