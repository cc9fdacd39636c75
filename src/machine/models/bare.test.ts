// Tests of the machine without devices: its interface interrupts, talks and ends the run.

import { expect, test } from 'vitest';
import { Machine } from '../machine.ts';
import { SteppedCpu } from '../testing/stepped-cpu.ts';
import { createBare } from './bare.ts';

function build() {
  const output: number[] = [];
  const bare = createBare({ ramBytes: 16 << 20, transmit: (byte) => output.push(byte) });
  const cpu = new SteppedCpu();
  return { bare, cpu, output, machine: new Machine(bare, cpu, { time: 'virtual' }) };
}

test('ports and memory float, and no MSR is there', () => {
  const { border } = build().bare;
  const out = new Uint32Array(2);
  border.mmioRead(0xfee00000, 4, out);
  expect([border.ioRead(0x3fd, 1), out[0], border.rdmsr(0x1b, out)]).toEqual([
    0xff,
    0xffffffff,
    false,
  ]);
});

test('a halted guest wakes by the line of the interface', () => {
  const { bare, cpu, machine } = build();
  cpu.step = () => ({ kind: 'halt' });
  expect(machine.run().kind).toBe('idle');
  bare.link.setInterfaceLine(true);
  cpu.acknowledge = () => {
    bare.link.setInterfaceLine(false);
    return 0xf3;
  };
  expect(machine.run().kind).toBe('idle');
  expect(cpu.taken).toEqual([{ vector: 0xf3, retired: 1 }]);
});

test('a line for which nobody has a vector does not hold a halted machine: its timers fire, and then it is idle', () => {
  const { bare, cpu, machine } = build();
  let runs = 0;
  cpu.run = () => {
    runs++;
    return { kind: 'halt' };
  };
  let fired = 0;
  bare.clock
    .timer('test', () => {
      fired++;
    })
    .set(1000);
  bare.link.setInterfaceLine(true);
  expect(machine.run().kind).toBe('idle');
  expect([fired, runs]).toEqual([1, 2]);
});

test('a halted machine that is restored looks at its line anew', () => {
  const { bare, cpu, machine } = build();
  let runs = 0;
  cpu.run = () => {
    runs++;
    return { kind: 'halt' };
  };
  machine.run();
  const saved = bare.snapshots.save();
  for (let n = 0; n < 2; n++) {
    bare.link.setInterfaceLine(true);
    machine.run();
    bare.snapshots.restore(saved);
  }
  expect(runs).toBe(3);
});

test('what is typed waits until the interface connects a console, and then goes there', () => {
  const { bare, machine } = build();
  expect(machine.consoleInput([1, 2, 3])).toBe(0);
  const typed: number[] = [];
  bare.consoles.connect('interface', {
    receive: (bytes) => typed.push(...Array.from(bytes)),
    room: () => 2,
  });
  expect(machine.consoleInput([1, 2, 3])).toBe(2);
  expect(typed).toEqual([1, 2]);
});

test.each([['end', 'ended'] as const, ['crash', 'crashed'] as const])(
  'the interface can %s the run with a sentence',
  (how, kind) => {
    const { bare, machine } = build();
    bare.powerSwitch[how]('set_gdt: frame 0x1a2 is mapped writable');
    expect(machine.run()).toEqual({ kind, why: 'set_gdt: frame 0x1a2 is mapped writable' });
  },
);
