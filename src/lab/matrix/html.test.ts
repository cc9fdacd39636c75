// The page of the matrix: whole, safe whatever a console printed, and small.

import { describe, expect, it } from 'vitest';
import { cell, MIXED } from '../testing/cells.ts';
import { COUNTED_GROUPS } from '../trace/tracer.ts';
import { htmlOf } from './html.ts';
import { judge } from './outcome.ts';
import { sparkline } from './sparkline.ts';

const page = (cells = MIXED) => htmlOf(judge(cells, { require: false, baseline: null }));

describe('the page', () => {
  it('has a row for each kernel, a column for each interface, and details behind each cell', () => {
    const text = page();
    expect(
      text.match(/<tr><th scope="row">[^<]*<\/th><td class="(pass|skip|fail)">/g),
    ).toHaveLength(3);
    expect(text.match(/<th scope="col">/g)).toHaveLength(2);
    for (const [n] of MIXED.entries()) {
      expect(text).toContain(`href="#cell-${n}"`);
      expect(text).toContain(`<details id="cell-${n}"`);
    }
    expect(text.match(/<details id="cell-\d" open>/g)).toHaveLength(3);
  });

  it('shows operations by group over time, and by entry point', () => {
    const text = page([cell()]);
    expect(text).toMatch(/<th scope="row">cpu<\/th><td class="number">2<\/td><td><svg/);
    expect(text).toContain('<td>CPUID</td><td>cpu.cpuid</td>');
  });

  it('has a column for each shape of the machine', () => {
    const shapes = ['pc', 'microvm'].map((shape) => cell({ shape }));
    expect(page(shapes)).toContain('<th scope="col">native, pc</th>');
    expect(page(shapes).match(/href="#cell-/g)).toHaveLength(2);
  });

  it('takes nothing from anywhere else', () => {
    expect(page()).not.toMatch(/https?:|src=|@import|url\(/);
  });

  it('shows what a console printed as text, whatever it is', () => {
    const text = page([
      cell({ console: ['<script>alert(1)</script>', '</pre>&amp;'], reason: '"<b>' }),
    ]);
    expect(text.match(/<script>/g)).toHaveLength(1);
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;\n&lt;/pre&gt;&amp;amp;');
    expect(text).toContain('title="&quot;&lt;b&gt;"');
  });

  it('of four kernels on six interfaces with full consoles is under 3 MB', () => {
    const samples = Array.from({ length: 200 }, (_, n) => ({
      guestSeconds: n / 100,
      exits: [n * 1e5, n * 10, n, n, n, n * 7, n],
      operations: COUNTED_GROUPS.map((_, group) => n * group * 1000),
    }));
    const operations = Array.from({ length: 80 }, (_, n) => ({
      ...{ operations: ['mmu.set_pte', 'mmu.set_pte_at'], entryPoint: `entry ${n}`, count: n },
    }));
    const console = Array.from({ length: 300 }, (_, n) => `[${n}] ${'x'.repeat(70)}`);
    const cells = Array.from({ length: 24 }, (_, n) =>
      cell({ kernel: `k${n >> 2}`, interface: `i${n & 3}`, samples, console, operations }),
    );
    expect(page(cells).length).toBeLessThan(3e6);
  });
});

describe('a sparkline', () => {
  it('is as high as the counter was fast, as wide as the time it took', () => {
    const svg = sparkline(
      [
        [1, 10],
        [2, 10],
        [4, 50],
      ],
      'io',
    );
    expect(svg).toContain(
      'd="M0 36L0.0 18.0L150.0 18.0L150.0 36.0L300.0 36.0L300.0 0.0L600.0 0.0L600 36Z"',
    );
    expect(svg).toContain('io, at most 20 per second');
  });

  it('of a counter that never moved, or of no time, is nothing', () => {
    expect(sparkline([[1, 0]], 'io')).toBe('');
    expect(sparkline([[0, 5]], 'io')).toBe('');
    expect(sparkline([], 'io')).toBe('');
  });
});
