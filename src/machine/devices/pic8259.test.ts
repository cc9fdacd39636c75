// Tests of the interrupt controllers against the 8259A datasheet.

import { expect, test } from 'vitest';
import { BenchTop } from '../testing/bench-top.ts';
import { pic8259 } from './pic8259.ts';

function bench(icw4 = 0x01, icw1 = 0x11) {
  const bench = new BenchTop();
  const pic = bench.plug(pic8259, { intr: bench.irq });
  for (const [range, base, cascade] of [
    [0, 0x20, 4],
    [1, 0x28, 2],
  ] as const) {
    pic.out(0, icw1, range);
    pic.out(1, base, range);
    pic.out(1, cascade, range);
    pic.out(1, icw4, range);
    pic.out(1, 0, range);
  }
  const raise = (irq: number) => pic.face.setIrq(irq, true);
  const drop = (irq: number) => pic.face.setIrq(irq, false);
  const command = (value: number, range = 0) => pic.out(0, value, range);
  return { intr: bench.irq, pic, raise, drop, command };
}

test('the mask register reads back and starts as all ones before initialisation', () => {
  const pic = new BenchTop().plug(pic8259, { intr: { set() {} } });
  pic.out(1, 0xfb);
  expect([pic.in(1), pic.in(1, 1)]).toEqual([0xfb, 0xff]);
});

test('a request is delivered with its vector, and lower ones wait for the end of interrupt', () => {
  const { pic, raise, intr, command } = bench();
  raise(4);
  expect(pic.face.acknowledge()).toBe(0x24);
  raise(5);
  expect(intr.level).toBe(false);
  raise(1);
  expect(pic.face.acknowledge()).toBe(0x21);
  command(0x20);
  expect(intr.level).toBe(false);
  command(0x20);
  expect(pic.face.acknowledge()).toBe(0x25);
});

test('a slave request goes through the cascade and needs an end of interrupt on both', () => {
  const { pic, raise, intr, command } = bench();
  raise(8);
  expect(pic.face.acknowledge()).toBe(0x28);
  raise(12);
  expect(intr.level).toBe(false);
  command(0x20, 1);
  expect(intr.level).toBe(false);
  command(0x20);
  expect(pic.face.acknowledge()).toBe(0x2c);
});

test('a masked request waits; an edge whose line falls before the acknowledge is spurious IR7', () => {
  const { pic, raise, drop, intr } = bench();
  pic.out(1, 0x10);
  raise(4);
  expect(intr.level).toBe(false);
  pic.out(1, 0x00);
  expect(intr.level).toBe(true);
  drop(4);
  expect(intr.level).toBe(false);
  expect(pic.face.acknowledge()).toBe(0x27);
  pic.out(0, 0x0b);
  expect(pic.in(0)).toBe(0); // A spurious IR7 sets no in-service bit.
});

test('an edge-triggered line that stays up requests once; a level-triggered one again after its end', () => {
  const { pic, raise, drop, intr, command } = bench();
  raise(5);
  pic.face.acknowledge();
  command(0x20);
  expect(intr.level).toBe(false);
  drop(5);
  pic.out(0, 0x20, 2); // ELCR: IRQ 5 is level-triggered.
  raise(5);
  pic.face.acknowledge();
  command(0x20);
  expect(intr.level).toBe(true);
  drop(5);
  expect(intr.level).toBe(false);
});

test('the edge/level registers refuse the lines that are edges by nature', () => {
  const { pic } = bench();
  pic.out(0, 0xff, 2);
  pic.out(1, 0xff, 2);
  expect([pic.in(0, 2), pic.in(1, 2)]).toEqual([0xf8, 0xde]);
});

test('request and in-service registers are read as selected', () => {
  const { pic, raise, command } = bench();
  raise(3);
  raise(6);
  expect(pic.in(0)).toBe(0x48);
  pic.face.acknowledge();
  command(0x0b);
  expect(pic.in(0)).toBe(0x08);
  command(0x0a);
  expect(pic.in(0)).toBe(0x40);
});

test('automatic EOI leaves nothing in service, also with two slave requests waiting', () => {
  const { pic, raise, intr } = bench(0x03);
  raise(9);
  raise(10);
  expect([pic.face.acknowledge(), pic.face.acknowledge()]).toEqual([0x29, 0x2a]);
  expect(intr.level).toBe(false);
});

test('rotation on EOI gives the served line the lowest priority', () => {
  const { pic, raise, command } = bench();
  raise(0);
  pic.face.acknowledge();
  command(0xa0); // rotate on non-specific EOI
  pic.face.setIrq(0, false);
  raise(0);
  raise(7);
  expect(pic.face.acknowledge()).toBe(0x27);
});

test('set priority and rotate on specific EOI choose the lowest line', () => {
  const { pic, raise, command } = bench();
  command(0xc4); // IR4 lowest, so IR5 highest
  raise(0);
  raise(5);
  expect(pic.face.acknowledge()).toBe(0x25);
  command(0xe5); // end IR5 and make it lowest
  raise(6);
  expect(pic.face.acknowledge()).toBe(0x26);
});

test('special mask mode lets lower requests through while a masked level is in service', () => {
  const { pic, raise, intr, command } = bench();
  raise(1);
  pic.face.acknowledge();
  raise(6);
  expect(intr.level).toBe(false);
  command(0x68);
  pic.out(1, 0x02);
  expect(pic.face.acknowledge()).toBe(0x26);
  command(0x20); // Ends IR6: the masked level is not ended by a non-specific EOI.
  command(0x0b);
  expect(pic.in(0)).toBe(0x02);
});

test('special fully nested mode lets a higher slave request interrupt a lower one', () => {
  const plain = bench();
  plain.raise(12);
  plain.pic.face.acknowledge();
  plain.raise(8);
  expect(plain.intr.level).toBe(false);
  const nested = bench(0x11);
  nested.raise(12);
  nested.pic.face.acknowledge();
  nested.raise(8);
  expect(nested.pic.face.acknowledge()).toBe(0x28);
});

test('a poll acknowledges without the processor', () => {
  const { pic, raise, intr, command } = bench();
  command(0x0c);
  expect(pic.in(0)).toBe(0);
  raise(4);
  command(0x0c);
  expect(pic.in(0)).toBe(0x84);
  expect(intr.level).toBe(false);
  command(0x0b);
  expect(pic.in(0)).toBe(0x10);
});

test('initialisation clears masks, service and edges, and skips the words it is told to skip', () => {
  const { pic, raise, intr } = bench();
  raise(3);
  pic.face.acknowledge();
  pic.out(0, 0x12); // single, no ICW4
  pic.out(1, 0x40);
  pic.out(1, 0xaa); // A mask already.
  expect(pic.in(1)).toBe(0xaa);
  expect(intr.level).toBe(false);
});
