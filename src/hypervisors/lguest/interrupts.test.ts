// Virtual interrupts: when a raised line is delivered, what holds it back, and the clock that raises line 0.

import { expect, test } from 'vitest';
import { SS_REG } from '../../cpu/descriptors.ts';
import { SEG_LIMIT } from '../../cpu/state.ts';
import { TEST_EPOCH } from '../testing/bare-guest.ts';
import { KERNEL_DS } from './descriptors.ts';
import { PAGE_OFFSET } from './first-tables.ts';
import { guest, runLguest } from './testing/lguest-guest.ts';

const { init, store, keepAt, keep, call, gate, off, field } = guest;
const TIMER = 32;
const on = store(field('irq_enabled'), 0x200);
const unmask = store(field('blocked_interrupts'), 0);
const arm = (nanos: number) => call('SET_CLOCKEVENT', nanos);
/** Waits without a call or a fault, so that the host has to look by itself. */
const spin = (rounds: number, label = 'spin') =>
  `mov ecx, ${rounds}; ${label}: dec ecx; jnz ${label}`;

test('the clock wakes a halted guest, with interrupts switched on by the host', () => {
  const { results, why } = runLguest(`
    ${init}; ${gate(TIMER, 'tick')}; ${unmask}; ${arm(100_000)}; ${call('HALT')}; ${keep('2')}; ${off}
    tick: ${keep('1')}; pop eax; pop eax; pop eax; and eax, 0x200; ${keep('eax')}; ${keepAt(field('irq_enabled'))}
    ${off}`);
  expect(why).toContain('Power down');
  expect(results).toEqual([1, 0x200, 0]);
});

test('a halt ends behind itself when the handler returns', () => {
  const { results, why } = runLguest(`
    ${init}; ${gate(TIMER, 'tick')}; ${unmask}; ${arm(100_000)}; ${call('HALT')}; ${keep('2')}; ${off}
    tick: ${keep('1')}; iretd`);
  expect(why).toContain('Power down');
  expect(results).toEqual([1, 2]);
});

test('a store to irq_enabled is noticed without a call', () => {
  const { results } = runLguest(`
    ${init}; ${gate(TIMER, 'tick')}; ${unmask}; ${arm(1000)}; ${spin(3000)}; ${keepAt(field('irq_pending'))}
    ${keep('1')}; ${on}; ${spin(20_000, 'more')}; ${keep('0xbad')}
    tick: ${keep('2')}; ${keepAt(field('irq_pending'))}; ${off}`);
  expect(results).toEqual([0x200, 1, 2, 0]);
});

test('a line that is unmasked is noticed without a call', () => {
  const { results } = runLguest(`
    ${init}; ${gate(TIMER, 'tick')}; ${on}; ${arm(1000)}; ${spin(3000)}; ${keepAt(field('irq_pending'))}
    ${unmask}; ${spin(20_000, 'more')}; ${keep('0xbad')}
    tick: ${keep('2')}; ${off}`);
  expect(results).toEqual([0, 2]);
});

test('SEND_INTERRUPTS delivers at once', () => {
  const { results } = runLguest(`
    ${init}; ${gate(TIMER, 'tick')}; ${unmask}; ${arm(1000)}; ${spin(3000)}; ${on}; ${call('SEND_INTERRUPTS')}
    ${keep('0xbad')}; tick: ${keep('2')}; ${off}`);
  expect(results).toEqual([2]);
});

test('a whole image of the flags without bit 9 means that interrupts are off', () => {
  const { results } = runLguest(`
    ${init}; ${gate(TIMER, 'tick')}; ${unmask}; ${arm(1000)}; ${store(field('irq_enabled'), 0x46)}; ${spin(30_000)}
    ${keep('1')}; ${store(field('irq_enabled'), 0x246)}; ${call('SEND_INTERRUPTS')}; ${keep('0xbad')}
    tick: ${keep('2')}; ${off}`);
  expect(results).toEqual([1, 2]);
});

test.each([0, PAGE_OFFSET])(
  'nothing is delivered inside the range that the guest has named, at 0x%x',
  (base) => {
    // The range is the loop: from its first instruction to the one behind it.
    const program = (range: Record<string, number>) =>
      runLguest(
        // The first result is kept early: a page that is touched for the first time is an exit, too.
        `${init}; ${keep('0')}; ${gate(TIMER, 'tick')}; ${unmask}; ${on}; ${arm(1000)}; mov ecx, 12000
       lea eax, [loop]; add eax, ${base}; jmp eax
       bytes ${Array.from({ length: 64 }, () => '90').join(' ')}
       loop: dec ecx; jnz loop; ${keep('1')}; ${spin(30_000, 'more')}; ${keep('0xbad')}
       tick: ${keep('2')}; lea eax, [loop]; ${keep('eax')}; pop eax; ${keep('eax')}; ${off}`,
        { data: range },
      ).results;
    const [, first, loop, eip] = program({});
    expect(first).toBe(2);
    const start = loop! + base;
    expect(eip! - start).toBeGreaterThanOrEqual(0);
    expect(eip! - start).toBeLessThanOrEqual(3);
    const guarded = program({ noirq_start: start, noirq_end: start + 3 });
    expect(guarded.slice(0, 3)).toEqual([0, 1, 2]);
  },
);

test('the clock can be set anew and taken back', () => {
  const late = runLguest(`
    ${init}; ${gate(TIMER, 'tick')}; ${unmask}; ${on}; ${arm(1000)}; ${arm(0)}; ${spin(20_000)}; ${keep('1')}
    ${arm(500)}; ${spin(20_000, 'more')}; ${keep('0xbad')}; tick: ${keep('2')}; ${off}`);
  expect(late.results).toEqual([1, 2]);
});

test('a line without a gate stays until it has one', () => {
  const { results } = runLguest(`
    ${init}; ${unmask}; ${on}; ${arm(1000)}; ${spin(20_000)}; ${keep('1')}; ${gate(TIMER, 'tick')}; ${keep('0xbad')}
    tick: ${keep('2')}; ${off}`);
  expect(results).toEqual([1, 2]);
});

test("before LGUEST_INIT nothing is delivered; after it the clock's time is the machine's", () => {
  const { results } = runLguest(`
    ${init}; ${keepAt(field('time_sec'))}; ${keepAt(field('time_nsec'))}; ${gate(TIMER, 'tick')}; ${unmask}
    ${arm(3_000_000_000)}; ${call('HALT')}
    tick: ${keepAt(field('time_sec'))}; ${off}`);
  expect(results[0]).toBe(TEST_EPOCH);
  expect(results[1]).toBeLessThan(1000);
  expect(results[2]).toBe(TEST_EPOCH + 3);
});

test('a handler is entered on the segments of the table as it is then', () => {
  const again = (label: string) => `${on}; ${arm(500)}; ${spin(1000, label)}`;
  const limitAfter = (change: string) =>
    runLguest(`
      ${init}; ${gate(TIMER, 'tick')}; ${unmask}; ${again('one')}; ${change}; ${again('two')}; ${keep('0xbad')}
      tick: inc edi; cmp edi, 2; je done; iretd; done: ${off}`).cpu.state.seg(SS_REG, SEG_LIMIT);
  expect(limitAfter('')).toBe(0xffff_ffff);
  expect(limitAfter(call('LOAD_GDT_ENTRY', KERNEL_DS >>> 3, 0x0000fffe, 0x00cfb300))).toBe(
    0xffff_efff,
  );
});

test('a halt with every line masked waits for ever, and costs nothing', () => {
  const run = runLguest(
    `${init}; ${gate(TIMER, 'tick')}; ${arm(1000)}; ${call('HALT')}; tick: ${off}`,
  );
  expect(run.stop).toBe('idle');
});
