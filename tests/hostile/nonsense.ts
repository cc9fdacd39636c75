// What a bad guest does to a machine: accesses of every width to every register, rings, tables and requests of nonsense.

import type { Range, Seat } from '../../src/machine/board.ts';
import type { InputBody } from '../../src/machine/inputs.ts';
import { type Bench, everyRange, RAM_BYTES } from './board.ts';
import type { Chance } from './chance.ts';
import { bringUp, DMA_WORD, scribble } from './rings.ts';

/** A step is data: it can be printed, and taken on two machines alike. */
export type Step =
  | { readonly do: 'seat'; readonly seat: string; readonly range: number; readonly access: Access }
  | { readonly do: 'port' | 'memory'; readonly at: number; readonly access: Access }
  | { readonly do: 'config'; readonly address: number; readonly access: Access }
  | { readonly do: 'msr'; readonly index: number; readonly write: readonly [number, number] | null }
  | { readonly do: 'priority'; readonly value: number }
  | { readonly do: 'input'; readonly body: InputBody }
  | { readonly do: 'pass'; readonly nanos: number; readonly interrupts: boolean }
  | { readonly do: 'ram'; readonly seed: number }
  | { readonly do: 'rings'; readonly seat: string; readonly seed: number };

export interface Access {
  readonly offset: number;
  readonly bytes: number;
  /** null: a read. */
  readonly value: number | null;
}

/** Values that mean something to a device: without them its commands would hardly ever be met. */
const WORDS: Readonly<Record<string, readonly number[]>> = {
  // ATA/ATAPI-6 8: read, write, verify, identify, set multiple, set features, flush; devices 0 and 1, by LBA or not.
  'ide-channel': [
    0x20, 0x24, 0x29, 0x30, 0x34, 0x39, 0x40, 0x91, 0xc4, 0xc5, 0xc6, 0xe7, 0xec, 0xef, 0xa0, 0xe0,
    0xf0,
  ],
  i8042: [
    0x20, 0x60, 0xaa, 0xab, 0xad, 0xae, 0xd1, 0xd2, 0xed, 0xee, 0xf0, 0xf2, 0xf3, 0xf4, 0xf6, 0xff,
  ],
  'fw-cfg': [DMA_WORD, DMA_WORD, 0x19, 0x20, 0x21],
};
const MSRS = [0x1b, 0x6e0, 0x800, 0x8ff] as const;
const NANOS = [0, 1, 100, 10_000, 400_000, 5_000_000] as const;

/** `only`: devices whose name or id contains it. */
export function plan(chance: Chance, bench: Bench, count: number, only = ''): Step[] {
  const seats = bench.seats.filter(({ id, device }) => id.includes(only) || device.includes(only));
  const ranges = everyRange(seats);
  const steps: Step[] = [];
  while (steps.length < count) steps.push(...some(chance, bench, seats, ranges));
  return steps;
}

function some(
  chance: Chance,
  bench: Bench,
  seats: readonly Seat[],
  ranges: readonly { seat: Seat; range: Range }[],
): Step[] {
  switch (chance.below(12)) {
    case 0:
      return [{ do: 'port', at: portOf(chance, bench), access: access(chance, 8) }];
    case 1:
      return [{ do: 'memory', at: memoryOf(chance, bench), access: access(chance, 16) }];
    case 2:
      return [
        {
          do: 'config',
          address: configOf(chance),
          access: access(chance, 4, bench.placed.memory),
        },
      ];
    case 3: {
      const index = chance.oneIn(8) ? chance.value() : chance.pick(MSRS) + chance.below(64);
      const write = chance.oneIn(2) ? ([chance.value(), chance.value()] as const) : null;
      return [{ do: 'msr', index, write }];
    }
    case 4:
      return [{ do: 'priority', value: chance.below(16) }];
    case 5:
      return [{ do: 'input', body: inputOf(chance) }];
    case 6:
    case 7:
      return [{ do: 'pass', nanos: chance.pick(NANOS), interrupts: !chance.oneIn(4) }];
    case 8:
      return [{ do: 'ram', seed: chance.u32() }];
    case 9: {
      const virtio = seats.filter(({ device }) => device.startsWith('virtio'));
      if (virtio.length === 0) return [];
      const seat = chance.pick(virtio).id;
      return Array.from({ length: 3 }, (): Step[] => [
        { do: 'rings', seat, seed: chance.u32() },
        { do: 'pass', nanos: chance.pick(NANOS), interrupts: true },
      ]).flat();
    }
    default:
      return burst(chance, ranges);
  }
}

/** Several accesses to one device, mostly to a few neighbouring registers, with some time between them. */
function burst(chance: Chance, ranges: readonly { seat: Seat; range: Range }[]): Step[] {
  if (ranges.length === 0) return [];
  const { seat, range } = chance.pick(ranges);
  const place = registers(chance, range);
  const steps = Array.from({ length: 4 + chance.below(16) }, (): Step => {
    const next = { ...access(chance, 1, WORDS[seat.device]), offset: place() };
    return { do: 'seat', seat: seat.id, range: seat.ranges.indexOf(range), access: next };
  });
  const nanos = chance.pick(NANOS);
  return [...steps, { do: 'pass', nanos, interrupts: !chance.oneIn(4) }];
}

/** Ports lie side by side. Memory holds a page or more: dwords, one every 16 bytes, at its start or anywhere. */
function registers(chance: Chance, { space, length }: Range): () => number {
  if (space === 'port') return () => chance.below(length);
  const stride = chance.pick([4, 4, 16]);
  const page = chance.oneIn(2) ? 0 : chance.below(Math.ceil(length / 0x1000)) * 0x1000;
  const count = chance.pick([4, 16, 64]);
  return () => {
    if (chance.oneIn(16)) return chance.below(length);
    const byte = chance.oneIn(4) ? chance.below(4) : 0;
    return (page + stride * chance.below(count) + byte) % length;
  };
}

function access(chance: Chance, spread: number, words: readonly number[] = []): Access {
  const known = words.length > 0 && !chance.oneIn(3);
  return {
    offset: chance.below(spread),
    bytes: chance.pick([1, 1, 2, 4, 4, 8]),
    value: chance.oneIn(3) ? null : known ? chance.pick(words) : chance.value(),
  };
}

/** What is typed may be too much, and for a target that the machine does not have. */
function inputOf(chance: Chance): InputBody {
  if (chance.oneIn(4)) return { kind: chance.pick(['break', 'power-button'] as const) };
  const to = chance.pick(['serial', 'keyboard', 'virtio', 'interface'] as const);
  return { kind: 'typed', to, bytes: [...chance.bytes(chance.pick([1, 8, 5000]))] };
}

function portOf(chance: Chance, bench: Bench): number {
  if (chance.oneIn(4)) return chance.below(0x10000);
  return chance.pick([...bench.placed.ports, 0x1f0, 0x170, 0x3f6, 0x600, 0xcf8, 0xcfc, 0xc000]);
}

function memoryOf(chance: Chance, bench: Bench): number {
  if (chance.oneIn(8)) return chance.u32();
  return chance.pick([...bench.placed.memory, 0xc0000000, 0xc0004000, 0xfee00000]);
}

/** Bus 0, the slots that are in use, now and then any. */
function configOf(chance: Chance): number {
  const slot = chance.oneIn(16) ? chance.below(256) : chance.below(16);
  return ((slot << 11) | (chance.below(4) << 8) | (chance.below(64) << 2)) >>> 0;
}

/** Takes one step; the answer is what the guest would have seen. */
export function take(bench: Bench, step: Step): number {
  const { border } = bench.built;
  switch (step.do) {
    case 'seat':
      return seatAccess(bench, step.seat, step.range, step.access);
    case 'port':
      return portAccess(bench, step.at + step.access.offset, step.access);
    case 'memory':
      return memoryAccess(bench, step.at + step.access.offset, step.access);
    case 'config':
      return configAccess(bench, step.address, step.access);
    case 'msr': {
      const out = new Uint32Array(2);
      if (!border.ownsMsr(step.index)) return -1;
      if (step.write) return border.wrmsr(step.index, ...step.write) ? 1 : 0;
      return border.rdmsr(step.index, out) ? out[0]! + out[1]! : 0;
    }
    case 'priority':
      border.writeCr8(step.value);
      return border.readCr8();
    case 'input':
      bench.machine.input(step.body);
      return 0;
    case 'pass':
      return pass(bench, step.nanos, step.interrupts);
    case 'ram':
      scribble(bench.ram, step.seed, RAM_BYTES);
      return 0;
    case 'rings':
      return bringUp(bench, step.seat, step.seed);
  }
}

/** Instructions of one `pass`: each is a halt, so that time skips from timer to timer. */
const PASS_INSTRUCTIONS = 200;

function pass(bench: Bench, nanos: number, interrupts: boolean): number {
  const { machine, built, cpu } = bench;
  cpu.interruptFlag = interrupts;
  const until = built.clock.now() + nanos;
  machine.run({ instructions: PASS_INSTRUCTIONS, until });
  built.clock.skipTo(until); // A halt that nothing ends is over all the same.
  return cpu.taken.splice(0).reduce((sum, { vector }) => (sum * 31 + vector) | 0, 0);
}

/** An access as a bus would make it: handlers see whole pieces that lie within the range. */
function seatAccess(
  bench: Bench,
  id: string,
  index: number,
  { offset, bytes, value }: Access,
): number {
  const range = bench.seats.find((seat) => seat.id === id)!.ranges[index]!;
  if (range.space === 'port') {
    const fits = range.handler.wide === true && offset + bytes <= range.length && bytes <= 4;
    const width = fits ? bytes : 1;
    if (value === null) return range.handler.read(offset, width);
    range.handler.write(offset, (value & maskOf(width)) >>> 0, width);
    return 0;
  }
  const dword = offset & ~3;
  if (value === null) return range.handler.read(dword);
  const width = (offset & 3) + bytes <= 4 ? bytes : 4;
  range.handler.write(width === 4 ? dword : offset, (value & maskOf(width)) >>> 0, width);
  return 0;
}

const maskOf = (bytes: number): number => (bytes >= 4 ? -1 : (1 << (8 * bytes)) - 1);

function portAccess({ built }: Bench, port: number, { bytes, value }: Access): number {
  const width = Math.min(bytes, 4);
  if (value === null) return built.border.ioRead(port & 0xffff, width);
  built.border.ioWrite(port & 0xffff, width, value);
  return 0;
}

function memoryAccess({ built }: Bench, gpa: number, { bytes, value }: Access): number {
  const out = new Uint32Array(2);
  if (value !== null) built.border.mmioWrite(gpa, bytes, value, ~value);
  else built.border.mmioRead(gpa, bytes, out);
  return out[0]! + out[1]!;
}

/** Configuration mechanism 1 (PCI 3.0 3.2.2.3.2). */
function configAccess(bench: Bench, address: number, access: Access): number {
  bench.built.border.ioWrite(0xcf8, 4, (0x80000000 | address) >>> 0);
  return portAccess(bench, 0xcfc + access.offset, access);
}
