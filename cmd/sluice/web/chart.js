// A line chart of the last minute on a canvas, with the newest value as text.

const span = 60; // values

export class Chart {
  // format turns a value into text; series names the colours, 1 to 3.
  constructor(parent, title, format, series = 1) {
    this.format = format;
    this.values = [];
    this.series = series;
    this.figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    const name = document.createElement('span');
    name.textContent = title;
    this.output = document.createElement('output');
    this.output.textContent = '–';
    caption.append(name, this.output);
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'chart';
    this.canvas.setAttribute('role', 'img');
    this.title = title;
    this.figure.append(caption, this.canvas);
    parent.append(this.figure);
    this.describe();
  }

  // add takes the next value; undefined leaves a gap.
  add(value) {
    this.values.push(Number.isFinite(value) ? value : undefined);
    if (this.values.length > span) this.values.shift();
    this.output.textContent = Number.isFinite(value) ? this.format(value) : '–';
    this.describe();
    this.draw();
  }

  describe() {
    const known = this.values.filter((v) => v !== undefined);
    const text = known.length ? `now ${this.format(known.at(-1))}, highest ${this.format(Math.max(...known))}` : 'no values yet';
    this.canvas.setAttribute('aria-label', `${this.title} over the last minute: ${text}`);
  }

  draw() {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    if (!w || !h) return;
    const scale = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(w * scale)) {
      this.canvas.width = Math.round(w * scale);
      this.canvas.height = Math.round(h * scale);
    }
    const g = this.canvas.getContext('2d');
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, w, h);
    const style = getComputedStyle(this.canvas);
    const colour = style.getPropertyValue(`--series${this.series}`);
    const known = this.values.filter((v) => v !== undefined);
    const top = Math.max(...known, 1e-9) * 1.15;
    const x = (i) => w - (this.values.length - 1 - i) * (w / (span - 1));
    const y = (v) => h - 2 - (v / top) * (h - 6);
    g.strokeStyle = style.getPropertyValue('--line');
    g.lineWidth = 1;
    for (const part of [0.25, 0.5, 0.75]) {
      g.beginPath();
      g.moveTo(0, Math.round(h * part) + 0.5);
      g.lineTo(w, Math.round(h * part) + 0.5);
      g.stroke();
    }
    g.strokeStyle = colour;
    g.fillStyle = colour;
    g.lineWidth = 2;
    g.lineJoin = 'round';
    let from = -1;
    const flush = (to) => {
      if (from < 0) return;
      g.beginPath();
      for (let i = from; i < to; i++) g.lineTo(x(i), y(this.values[i]));
      g.stroke();
      g.lineTo(x(to - 1), h);
      g.lineTo(x(from), h);
      g.globalAlpha = 0.15;
      g.fill();
      g.globalAlpha = 1;
      if (to - from === 1) g.fillRect(x(from) - 1.5, y(this.values[from]) - 1.5, 3, 3);
      from = -1;
    };
    this.values.forEach((v, i) => {
      if (v === undefined) flush(i);
      else if (from < 0) from = i;
    });
    flush(this.values.length);
  }
}

export const bits = (v) => (v >= 1e6 ? `${(v / 1e6).toFixed(2)} Mbit/s` : `${(v / 1e3).toFixed(0)} kbit/s`);
export const ms = (v) => `${v < 10 ? v.toFixed(1) : v.toFixed(0)} ms`;
export const percent = (v) => `${v.toFixed(v < 10 ? 1 : 0)} %`;
export const count = (v) => v.toLocaleString('en', { maximumFractionDigits: 0 });
