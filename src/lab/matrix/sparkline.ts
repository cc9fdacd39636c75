// A small chart: how fast a counter rose over time, as an SVG that takes its colour from the page.

import { xmlText } from './xml-text.ts';

const WIDTH = 600;
const HEIGHT = 36;

/** `points`: time and count so far, times rising. */
export function sparkline(points: readonly (readonly [number, number])[], title: string): string {
  const steps = stepsOf(points);
  const end = points.at(-1)?.[0] ?? 0;
  const top = Math.max(...steps.map(({ rate }) => rate));
  if (steps.length === 0 || end <= 0 || top <= 0) return '';
  const x = (time: number) => ((time / end) * WIDTH).toFixed(1);
  const y = (rate: number) => (HEIGHT - (rate / top) * HEIGHT).toFixed(1);
  const corners = steps.map(({ from, to, rate }) => `L${x(from)} ${y(rate)}L${x(to)} ${y(rate)}`);
  const path = `M0 ${HEIGHT}${corners.join('')}L${WIDTH} ${HEIGHT}Z`;
  const peak = top >= 100 ? top.toFixed(0) : top.toPrecision(2);
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img"><title>${xmlText(title)}, at most ${peak} per second</title><path d="${path}"/></svg>`;
}

function stepsOf(points: readonly (readonly [number, number])[]) {
  let [time, count] = [0, 0];
  const steps: { from: number; to: number; rate: number }[] = [];
  for (const [to, total] of points) {
    if (to <= time) continue;
    steps.push({ from: time, to, rate: Math.max(total - count, 0) / (to - time) });
    [time, count] = [to, total];
  }
  return steps;
}
