// The page of the matrix in headless Chromium: whole and ready within a second, at two widths and in both themes.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { htmlOf, judge } from '../../src/lab/index.ts';
import { cell, MIXED } from '../../src/lab/testing/cells.ts';

const CHROMIUM = 'chromium';
const there = spawnSync(CHROMIUM, ['--version'], { timeout: 60_000 }).status === 0;
if (!there && process.env.PVOPS_REQUIRE_CHROMIUM === '1') throw new Error('chromium is not there');

/** Put behind the page's own script: what it finds at the end of loading is left in the title. */
const PROBE = `
addEventListener('load', () => {
  document.title = JSON.stringify({
    rows: document.querySelectorAll('.matrix tbody tr').length,
    cells: document.querySelectorAll('.matrix td').length,
    open: document.getElementById('cell-0').open,
    charts: document.querySelectorAll('details svg path').length,
    fits: document.documentElement.scrollWidth <= innerWidth,
    back: getComputedStyle(document.body).backgroundColor,
    millis: Math.round(performance.now()),
  });
});`;

const folder = mkdtempSync(join(tmpdir(), 'pvops-page-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Four kernels on six interfaces, each with all that a cell can have. */
function page(): string {
  const samples = Array.from({ length: 200 }, (_, n) => ({
    guestSeconds: n / 100,
    exits: [n * 1e5, n * 10, n, n, n, n * 7, n],
    operations: Array.from({ length: 12 }, (_, group) => n * group * 100),
  }));
  const console = Array.from({ length: 300 }, (_, n) => `[${n}] ${'x'.repeat(70)}`);
  const cells = Array.from({ length: 24 }, (_, n) => {
    const place = { kernel: `debian:12/k${Math.floor(n / 6)}`, interface: `i${n % 6}@1.0` };
    return cell({ ...MIXED[n % MIXED.length], ...place, samples, console });
  });
  return htmlOf(judge(cells, { require: false, baseline: null }));
}

/** Chromium's own time to show anything, on a host that may be busy. */
const EMPTY =
  '<!doctype html><html><body class="matrix"><details id="cell-0"></details></body></html>';

function seen(width: number, dark: boolean, html = page()) {
  const path = join(folder, 'page.html');
  writeFileSync(path, html.replace('</body>', `<script>${PROBE}</script></body>`));
  const args = ['--headless=new', '--no-sandbox', '--disable-gpu', `--window-size=${width},900`];
  if (dark) args.push('--blink-settings=preferredColorScheme=0');
  // The link of a cell that has passed: its details are closed until somebody follows it.
  args.push('--dump-dom', `file://${path}#cell-0`);
  const { stdout } = spawnSync(CHROMIUM, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  const title = /<title>([^<]*)<\/title>/.exec(stdout)?.[1] ?? '';
  return JSON.parse(title.replaceAll('&amp;', '&')) as Record<string, unknown>;
}

describe.skipIf(!there)('the page of a matrix of 4 by 6', () => {
  it.each([
    ['light', 1280, false, 'rgb(255, 255, 255)'],
    ['dark', 1280, true, 'rgb(13, 17, 23)'],
    ['light', 500, false, 'rgb(255, 255, 255)'],
    ['dark', 500, true, 'rgb(13, 17, 23)'],
  ])(
    'is all there and fits, %s and %d wide',
    { retry: 3, timeout: 120_000 },
    (_, width, dark, back) => {
      const found = seen(width, dark);
      expect(found).toMatchObject({ rows: 4, cells: 24, open: true, fits: true, back });
      expect(found.charts).toBeGreaterThan(24 * 6);
      const nothing = seen(width, dark, EMPTY).millis as number;
      expect((found.millis as number) - nothing).toBeLessThan(1000);
    },
  );
});
