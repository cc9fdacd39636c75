// The report of bench:boot from known costs, and the yardstick on commands that do as machines do.

import { expect, test } from 'vitest';
import { bootOf, bootTargets, bootText } from './boot-report.ts';
import type { Machine } from './guest/machines.ts';
import { targetText } from './guest/report.ts';
import { costUntil } from './measure.ts';

const machine = (name: Machine['name']): Machine => ({ name, how: 'how', command: '', args: [] });
const cost = (cpuSeconds: number, instructions: number | null = null) => ({
  cpuSeconds,
  wallSeconds: cpuSeconds,
  peakMegabytes: 400,
  instructions,
});
const KVM = bootOf('pvops kvm', machine('pvops'), [cost(6, 2e9), cost(4, 2e9), cost(5, 2e9)]);
const NATIVE = bootOf('pvops native', machine('pvops'), [cost(8)]);
const QEMU = bootOf('QEMU TCG', machine('QEMU'), [cost(2)]);
const ABSENT = bootOf('v86', machine('v86'), []);

test('a row has the median, the instructions, and the ratio to each peer that got there', () => {
  expect(bootText(KVM, [KVM, NATIVE, QEMU, ABSENT])).toMatch(
    /^pvops kvm +5\.00 CPU s +2000 Minsn +400 MB +2\.50x QEMU; how; median of 3$/,
  );
  expect(bootText(ABSENT, [KVM, ABSENT])).toContain('did not get there');
});

test('targets are judged by our best interface, each against its peer', () => {
  const texts = bootTargets([KVM, NATIVE, QEMU], 64, 0.5).map(targetText);
  expect(texts).toEqual([
    'boot on pvops kvm by QEMU: 2.50 (required 2.5, stretch 1.5): met',
    'memory, MB: 400.0 (required 450, stretch 350): met',
    'first instruction, CPU s: 0.50 (required 0.4): missed',
  ]);
});

test('without a peer nothing is claimed', () => {
  const [v86, qemu] = bootTargets([KVM, ABSENT], 32, 0.1);
  expect(targetText(v86!)).toBe('boot on pvops kvm by v86: - (required 0.6): not measured');
  expect(targetText(qemu!)).toBe('boot on pvops kvm by QEMU: - (stretch 1.5): not measured');
});

test('a command that ends by itself is read to its end, for its count of instructions', async () => {
  const script =
    'echo up; head -c 50000000 /dev/zero | sha256sum; echo "native: up (1 s, 12.5 M instructions, 1 s)" >&2';
  const found = await costUntil('up', { command: 'sh', args: ['-c', script], ends: true });
  expect(found).toMatchObject({ instructions: 12_500_000 });
});

test('a command that does not is ended at the marker, and one that never prints it costs nothing', async () => {
  const waits = { command: 'sh', args: ['-c', 'echo up; exec tail -f /dev/null'] };
  expect(await costUntil('up', waits)).toMatchObject({ instructions: null });
  expect(await costUntil('up', { command: 'sh', args: ['-c', 'echo down'] })).toBeNull();
  expect(await costUntil('up', { command: 'no-such-command', args: [] })).toBeNull();
});
