// Tests of the whole microvm: interrupt routes, waiting, input, power and snapshots. Abuse of its registers: tests/hostile.

import { expect, test } from 'vitest';
import type { InputEvent } from '../inputs.ts';
import { Machine, type MachineOptions } from '../machine.ts';
import { stateBytes } from '../snapshot.ts';
import { SteppedCpu } from '../testing/stepped-cpu.ts';
import { createMicrovm } from './microvm.ts';

const LAPIC = 0xfee00000;
const IOAPIC = 0xfec00000;

function build(options: Partial<MachineOptions> = {}) {
  const output: number[] = [];
  const events: InputEvent[] = [];
  const vm = createMicrovm({
    ramBytes: 512 << 20,
    epochSeconds: 1_175_000_000,
    transmit: (byte) => output.push(byte),
    record: (event) => events.push(event),
  });
  const cpu = new SteppedCpu();
  cpu.acknowledge = vm.border.acknowledgeInterrupt;
  const machine = new Machine(vm, cpu, { time: 'virtual', ...options });
  const out8 = (port: number, value: number) => vm.border.ioWrite(port, 1, value);
  const in8 = (port: number) => vm.border.ioRead(port, 1);
  const lapic = (offset: number, value: number) => vm.border.mmioWrite(LAPIC + offset, 4, value, 0);
  const redirect = (pin: number, value: number) => {
    vm.border.mmioWrite(IOAPIC, 4, 0x10 + pin * 2, 0);
    vm.border.mmioWrite(IOAPIC + 0x10, 4, value, 0);
  };
  return { vm, cpu, machine, output, events, out8, in8, lapic, redirect };
}

type Built = ReturnType<typeof build>;

function setUpPics({ out8 }: Built, mask = 0) {
  for (const [port, base, cascade] of [
    [0x20, 0x20, 4],
    [0xa0, 0x28, 2],
  ] as const) {
    out8(port, 0x11);
    out8(port + 1, base);
    out8(port + 1, cascade);
    out8(port + 1, 1);
    out8(port + 1, mask);
  }
}

function startPit({ out8 }: Built, count: number, mode = 2) {
  out8(0x43, 0x30 | (mode << 1));
  out8(0x40, count & 0xff);
  out8(0x40, count >> 8);
}

/** Lets the processor halt at once, whenever it runs. */
function haltAlways({ cpu }: Built) {
  cpu.step = () => ({ kind: 'halt' });
}

test('the PIT interrupts through the 8259 and the virtual wire at an exact instruction count', () => {
  const m = build();
  setUpPics(m);
  startPit(m, 1193, 0);
  expect(m.machine.run({ instructions: 2_000_000 })).toEqual({ kind: 'slice' });
  expect(m.cpu.taken).toEqual([{ vector: 0x20, retired: Math.ceil((1194 * 1e9) / 1193182) }]);
});

test('the PIT interrupts through pin 2 of the I/O APIC', () => {
  const m = build();
  setUpPics(m, 0xff);
  m.redirect(2, 0x30);
  startPit(m, 1193, 0);
  m.machine.run({ instructions: 2_000_000 });
  expect(m.cpu.taken.map(({ vector }) => vector)).toEqual([0x30]);
});

test('with the local APIC off the 8259 drives the processor alone', () => {
  const m = build();
  setUpPics(m);
  expect(m.vm.border.wrmsr(0x1b, 0xfee00100, 0)).toBe(true);
  startPit(m, 1193, 0);
  m.machine.run({ instructions: 2_000_000 });
  expect(m.cpu.taken.map(({ vector }) => vector)).toEqual([0x20]);
});

test('ExtINT through pin 0 reaches the 8259 when LINT0 is masked', () => {
  const m = build();
  m.lapic(0x350, 0x10700);
  setUpPics(m);
  startPit(m, 1193, 0);
  m.machine.run({ instructions: 2_000_000 });
  expect(m.cpu.taken).toEqual([]);
  m.redirect(0, 0x700);
  m.machine.run({ instructions: 100 });
  expect(m.cpu.taken.map(({ vector }) => vector)).toEqual([0x20]);
});

test('a local APIC timer set in mid-slice fires at its own nanosecond', () => {
  const m = build();
  m.cpu.step = (cpu) => {
    if (cpu.count === 5000) {
      m.lapic(0x320, 0x40);
      m.lapic(0x3e0, 0xb);
      m.lapic(0x380, 777);
    }
    return null;
  };
  m.machine.run({ instructions: 100_000 });
  expect(m.cpu.taken).toEqual([{ vector: 0x40, retired: 5777 }]);
});

test('a halted machine jumps to its next timer and goes on at that time', () => {
  const m = build();
  m.lapic(0x320, 0x40);
  m.lapic(0x3e0, 0xb);
  m.lapic(0x380, 1_000_000);
  m.cpu.step = (cpu) => (cpu.count === 10 ? { kind: 'halt' } : null);
  m.machine.run({ instructions: 100 });
  expect(m.cpu.taken).toEqual([{ vector: 0x40, retired: 11 }]);
  expect(m.vm.clock.now()).toBe(1_000_000 + 100 - 11);
});

test('a machine that halts with nothing to come is idle until input wakes it', () => {
  const m = build();
  haltAlways(m);
  setUpPics(m);
  m.out8(0x3f9, 1);
  m.out8(0x3fc, 8);
  expect(m.machine.run()).toEqual({ kind: 'idle' });
  expect(m.machine.run()).toEqual({ kind: 'idle' });
  expect(m.cpu.count).toBe(1);
  expect(m.machine.consoleInput([0x78])).toBe(1);
  expect(m.machine.run()).toEqual({ kind: 'idle' });
  expect(m.cpu.taken.map(({ vector }) => vector)).toEqual([0x24]);
  expect(m.in8(0x3f8)).toBe(0x78);
});

test('a halt with interrupts off is the end, unless an NMI can come', () => {
  const m = build();
  haltAlways(m);
  m.cpu.interruptFlag = false;
  expect(m.machine.run().kind).toBe('dead');
  m.redirect(2, 0x400);
  startPit(m, 1193, 0);
  m.machine.run({ instructions: 3 });
  expect(m.cpu.taken).toEqual([{ vector: 2, retired: 1 }]);
});

test('power-off and reset end the run with the register that asked', () => {
  const off = build();
  off.cpu.step = () => {
    off.vm.border.ioWrite(0x604, 2, 0x3401);
    return null;
  };
  expect(off.machine.run()).toEqual({ kind: 'off', why: 'ACPI: sleep type S5' });
  expect(off.cpu.count).toBe(1);
  const reset = build();
  reset.cpu.step = () => {
    reset.out8(0x64, 0xfe);
    return null;
  };
  expect(reset.machine.run().kind).toBe('reset');
});

test('a shutdown or an unsupported instruction is handed on', () => {
  const m = build();
  m.cpu.step = () => ({ kind: 'shutdown', why: 'triple fault' });
  expect(m.machine.run()).toEqual({ kind: 'shutdown', why: 'triple fault' });
});

test('an exit that an interface asked for is attended, and ends the run if it says so', () => {
  let calls = 0;
  const m = build({ attend: () => ++calls === 2 });
  m.cpu.step = (cpu) => {
    cpu.requestExit();
    return null;
  };
  expect(m.machine.run()).toEqual({ kind: 'requested' });
  expect([calls, m.cpu.count]).toEqual([2, 2]);
});

test('a timer that is set and moved back while the processor runs fires at its new time', () => {
  const m = build();
  const fired: number[] = [];
  const timer = m.vm.clock.timer('test', () => fired.push(m.cpu.count));
  m.cpu.step = (cpu) => {
    if (cpu.count === 10) for (const at of [50, 70]) timer.set(at);
    return null;
  };
  m.machine.run({ instructions: 1000 });
  expect(fired).toEqual([70]);
});

test('a halted machine whose timers wake nobody comes back after a bounded number of turns', () => {
  const m = build();
  haltAlways(m);
  startPit(m, 2);
  setUpPics(m, 0xff);
  expect(m.machine.run()).toEqual({ kind: 'slice' });
});

test('on wall time a halted machine says when to wake it', () => {
  const m = build({ time: 'wall' });
  haltAlways(m);
  m.lapic(0x320, 0x40);
  m.lapic(0x3e0, 0xb);
  m.lapic(0x380, 5000);
  expect(m.machine.run()).toEqual({ kind: 'asleep', wakeAt: 5000 });
  m.machine.wake(4000);
  expect(m.machine.run()).toEqual({ kind: 'asleep', wakeAt: 5000 });
  m.machine.wake(6000);
  expect(m.machine.run().kind).toBe('idle');
  expect([m.cpu.taken.length, m.vm.clock.now()]).toEqual([1, 6001]);
});

/** A guest that echoes its input, with a periodic tick, halting in between. */
function echoing(m: Built) {
  setUpPics(m);
  m.out8(0x3f9, 1);
  m.out8(0x3fc, 8);
  m.lapic(0x320, 0x20040);
  m.lapic(0x3e0, 0xb);
  m.lapic(0x380, 1_000_000);
  let seen = 0;
  m.cpu.step = (cpu) => {
    if (cpu.taken.length === seen) return cpu.count % 7 === 0 ? { kind: 'halt' } : null;
    seen = cpu.taken.length;
    const { vector } = cpu.taken[seen - 1]!;
    if (vector === 0x40) m.lapic(0xb0, 0);
    if (vector === 0x24) {
      while ((m.in8(0x3fd) & 1) !== 0) m.out8(0x3f8, m.in8(0x3f8));
      m.out8(0x20, 0x20);
    }
    return null;
  };
}

test.each(['virtual', 'wall'] as const)(
  'a recorded run on %s time replays to the same instruction, bytes and state',
  (time) => {
    const live = build({ time });
    echoing(live);
    let wall = 0;
    for (let i = 0; i < 40; i++) {
      const stop = live.machine.run({ instructions: 100, until: (i + 1) * 3e6 });
      if (i % 5 === 2) live.machine.consoleInput([0x61 + i]);
      if (stop.kind === 'asleep') {
        wall = stop.wakeAt + 1234 * i;
        live.machine.wake(wall);
      }
    }
    expect(live.output.length).toBeGreaterThan(4);

    const replay = build({ time });
    echoing(replay);
    replay.vm.inputs.load(live.events);
    const end = live.vm.clock.now();
    live.machine.run({ until: end }); // What is due now runs, and nothing else.
    while (replay.vm.clock.now() < end) replay.machine.run({ until: end });
    expect(replay.cpu.taken).toEqual(live.cpu.taken);
    expect(replay.output).toEqual(live.output);
    expect(replay.events).toEqual(live.events);
    expect(stateBytes(replay.vm.snapshots.save().slots)).toEqual(
      stateBytes(live.vm.snapshots.save().slots),
    );
  },
);

test('a recording out of order is refused', () => {
  const m = build();
  const event = { kind: 'wake', retired: 5, now: 5 } as const;
  expect(() => m.vm.inputs.load([event, { ...event, retired: 4 }])).toThrow(
    expect.objectContaining({ code: 'machine/recording-order' }),
  );
});

test('a restored snapshot goes on exactly as the machine it was taken from', () => {
  const m = build();
  setUpPics(m);
  startPit(m, 5000);
  m.vm.border.wrmsr(0x1b, 0xfed00900, 0);
  m.machine.run({ instructions: 1_234_567 });
  const saved = m.vm.snapshots.save();
  const other = build();
  other.cpu.count = m.cpu.count;
  other.vm.snapshots.restore(saved);
  expect(other.vm.snapshots.bytes()).toEqual(m.vm.snapshots.bytes());
  other.cpu.taken.push(...m.cpu.taken);
  for (const each of [m, other]) {
    each.out8(0x20, 0x20);
    each.machine.run({ instructions: 9_000_000 });
  }
  expect(other.cpu.taken).toEqual(m.cpu.taken);
  expect(other.cpu.taken.length).toBeGreaterThan(1);
  const out = new Uint32Array(2);
  other.vm.border.mmioRead(0xfed00030, 4, out);
  expect(out[0]).toBe(0x50014);
});
