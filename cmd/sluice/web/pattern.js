// A test picture that moves and tells the time, with a beep a second.

const bars = ['#c0c0c0', '#c0c000', '#00c0c0', '#00c000', '#c000c0', '#c00000', '#0000c0'];

export function pattern(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const g = canvas.getContext('2d', { alpha: false });
  let frame = 0;
  const draw = () => {
    bars.forEach((c, i) => {
      g.fillStyle = c;
      g.fillRect((i * width) / bars.length, 0, width / bars.length + 1, height);
    });
    const now = new Date();
    const turn = (now.getMilliseconds() / 1000) * 2 * Math.PI;
    const r = height / 6;
    const cx = width / 2 + Math.sin(frame / 60) * width * 0.3;
    const cy = height * 0.36;
    g.fillStyle = '#10181c';
    g.beginPath();
    g.arc(cx, cy, r, 0, 2 * Math.PI);
    g.fill();
    g.strokeStyle = '#fff';
    g.lineWidth = height / 60;
    g.beginPath();
    g.moveTo(cx, cy);
    g.lineTo(cx + Math.sin(turn) * r * 0.85, cy - Math.cos(turn) * r * 0.85);
    g.stroke();
    g.fillStyle = '#10181c';
    g.fillRect(0, height * 0.68, width, height * 0.2);
    g.fillStyle = '#fff';
    g.font = `${Math.round(height * 0.12)}px ui-monospace, monospace`;
    g.textAlign = 'center';
    g.textBaseline = 'middle';
    g.fillText(`${now.toISOString().slice(11, 23)}  #${frame}`, width / 2, height * 0.785);
    frame++;
  };
  draw();
  const timer = setInterval(draw, 1000 / 30);
  const stream = canvas.captureStream(30);

  const audio = new AudioContext();
  audio.resume().catch(() => {}); // silent where the browser wants a gesture
  const tone = audio.createOscillator();
  const gain = audio.createGain();
  const out = audio.createMediaStreamDestination();
  tone.frequency.value = 440;
  gain.gain.value = 0;
  tone.connect(gain).connect(out);
  tone.start();
  const beep = setInterval(() => {
    const t = audio.currentTime;
    gain.gain.setValueAtTime(0.2, t);
    gain.gain.setTargetAtTime(0, t + 0.08, 0.02);
  }, 1000);
  stream.addTrack(out.stream.getAudioTracks()[0]);
  return {
    stream,
    stop() {
      clearInterval(timer);
      clearInterval(beep);
      stream.getTracks().forEach((t) => t.stop());
      audio.close();
    },
  };
}
