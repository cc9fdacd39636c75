// What every PC of ours has, whatever its model: clock, interrupt controllers, timers, first serial port, power management.

import { Board } from '../board.ts';
import { MmioBus } from '../bus.ts';
import type { Clock } from '../clock.ts';
import type { ConsoleEnds } from '../console-ends.ts';
import type { CpuLink } from '../cpu-link.ts';
import type { Claims, Line } from '../device.ts';
import { type AcpiPmFace, type AcpiPmNeeds, acpiPm } from '../devices/acpi-pm.ts';
import { ApicBus } from '../devices/apic-bus.ts';
import { type IoapicFace, ioapic } from '../devices/ioapic.ts';
import { type LapicFace, lapic } from '../devices/lapic.ts';
import { type Pic8259Face, pic8259 } from '../devices/pic8259.ts';
import { pit8254 } from '../devices/pit8254.ts';
import { port92 } from '../devices/port92.ts';
import { postPort } from '../devices/post-port.ts';
import { type RtcFace, rtcCmos } from '../devices/rtc-cmos.ts';
import { type UartFace, uart16550 } from '../devices/uart16550.ts';
import type { InputBody } from '../inputs.ts';
import type { PowerSwitch } from '../power.ts';
import type { SnapshotSlots } from '../snapshot.ts';
import { buildCore } from './core.ts';
import type { BuiltMachine, DeviceBorder, MachineConfig } from './define.ts';

/** A machine model: which devices it has, and where. */
export type MachineModel<Name extends string> = Readonly<Record<Name, Claims>>;

export type ChipsetDevice =
  | 'pic'
  | 'ioapic'
  | 'lapic'
  | 'pit'
  | 'rtc'
  | 'com1'
  | 'pm'
  | 'port92'
  | 'post';

/** Everything at its PC place; ACPI and MP tables are written from the same table. */
export const CHIPSET: MachineModel<ChipsetDevice> = {
  pic: pic8259.claims,
  ioapic: ioapic.claims,
  lapic: lapic.claims,
  pit: pit8254.claims,
  rtc: rtcCmos.claims,
  com1: uart16550.claims,
  pm: acpiPm.claims,
  port92: port92.claims,
  post: postPort.claims,
};

/** What a model may build on. */
export interface Chipset {
  readonly board: Board;
  readonly clock: Clock;
  readonly power: PowerSwitch;
  readonly slots: SnapshotSlots;
  readonly rtc: RtcFace;
  readonly interrupts: Interrupts;
  readonly consoles: ConsoleEnds;
  readonly machine: BuiltMachine & { readonly lapic: LapicFace };
}

/** How a model differs where the chipset's own wires run. */
export interface ChipsetVariant {
  /** The wires of ISA interrupts, if something stands between them and the controllers. */
  readonly isa?: (interrupts: Interrupts) => (irq: number) => Line;
  /** Puts the power management block on the board, if not at its fixed place. */
  readonly placePm?: (board: Board, needs: AcpiPmNeeds) => AcpiPmFace;
}

export function buildChipset(
  config: MachineConfig,
  model: MachineModel<ChipsetDevice>,
  variant: ChipsetVariant = {},
): Chipset {
  const core = buildCore(config);
  const { link, snapshots: slots, clock, powerSwitch: powerLines, consoles } = core;
  const board = new Board(new MmioBus(), slots);
  const interrupts = wireInterrupts(board, model, config, link, clock, powerLines);
  const isa = variant.isa?.(interrupts) ?? isaLine(interrupts);

  board.add('pit', pit8254, model.pit, { irq: isa(model.pit.irq!), clock });
  const rtc = board.add('rtc', rtcCmos, model.rtc, { irq: isa(model.rtc.irq!), clock }).face;
  const uart = board.add('com1', uart16550, model.com1, {
    irq: isa(model.com1.irq!),
    clock,
    transmit: consoles.speaker('serial', config.transmit),
  }).face;
  const pmNeeds = { sci: isa(model.pm.irq!), clock, power: powerLines, timerBits: 32 } as const;
  const pm = variant.placePm?.(board, pmNeeds) ?? board.add('pm', acpiPm, model.pm, pmNeeds).face;
  board.add('port92', port92, model.port92, { power: powerLines });
  board.add('post', postPort, model.post, {});
  rtc.start(config.epochSeconds, config.ramBytes);
  consoles.connect('serial', uart);

  const machine = {
    ...core,
    lapic: interrupts.lapic,
    pulseIsa(irq: number) {
      interrupts.setIrq(irq, false);
      interrupts.setIrq(irq, true); // It stays up: the 8259 forgets an edge that falls before it is acknowledged.
    },
    // Nothing drives LINT1 here, so it wakes nobody, although firmware and kernels leave it open for NMIs.
    mayRaiseNmi: () => interrupts.ioapic.mayRaiseNmi() || interrupts.lapic.deliversNmi(0),
    apply: (input: InputBody) => applyInput(input, consoles, uart, pm),
    consoleTarget: () => consoles.target(),
    room: consoles.room.bind(consoles),
    border: border(board, interrupts),
    connect: link.connect.bind(link),
    unclaimed: () => [...board.ports.unclaimed, ...board.mmio.unclaimed],
    seats: () => board.seats,
  };
  return { board, clock, power: powerLines, slots, rtc, interrupts, consoles, machine };
}

function applyInput(input: InputBody, consoles: ConsoleEnds, uart: UartFace, pm: AcpiPmFace): void {
  switch (input.kind) {
    case 'typed':
      return consoles.receive(input.to, input.bytes);
    case 'break':
      return uart.receiveBreak();
    case 'power-button':
      return pm.powerButton();
    case 'request': // The main loop's.
    case 'wake':
      return;
  }
}

export interface Interrupts {
  readonly pic: Pic8259Face;
  readonly ioapic: IoapicFace;
  readonly lapic: LapicFace;
  readonly bus: ApicBus;
  /** Drives an IRQ: to the 8259 pair and to the I/O APIC, where IRQ 0 is pin 2. */
  setIrq(irq: number, level: boolean): void;
}

function isaLine({ setIrq }: Interrupts): (irq: number) => Line {
  return (irq) => ({ set: (level) => setIrq(irq, level) });
}

/** INTR is the local APIC's; the 8259 reaches it through LINT0 and pin 0, or directly when the APIC is off. */
function wireInterrupts(
  board: Board,
  model: MachineModel<ChipsetDevice>,
  config: MachineConfig,
  link: CpuLink,
  clock: Clock,
  power: PowerSwitch,
): Interrupts {
  const bus = new ApicBus();
  const recompute = () => {
    const level = local.enabled()
      ? local.pending() >= 0 || (pic.output() && (local.extInt() || io.extInt()))
      : pic.output();
    link.setInterruptLine(level);
  };
  // The faces refer to each other; none of these calls happens before all three are plugged.
  let ready = false;
  const changed = () => {
    if (ready) recompute();
  };
  const localPlaced = board.add('lapic', lapic, model.lapic, {
    id: 0,
    clock,
    bus,
    x2apic: config.x2apic ?? true,
    tscDeadline: config.tscDeadline ?? true,
    tscOffset: config.tscOffset ?? (() => 0),
    changed,
    nmi: () => link.raiseNmi(),
    init: () => power.reset('INIT to the boot processor'),
    moved: (base, mapped) => localPlaced.windows[0]!.place(base, mapped),
  });
  const local = localPlaced.face;
  const io = board.add('ioapic', ioapic, model.ioapic, { bus, changed }).face;
  const intr: Line = {
    set(level) {
      local.setLint(0, level);
      io.setPin(0, level);
      changed();
    },
  };
  const pic = board.add('pic', pic8259, model.pic, { intr }).face;
  ready = true;
  local.enterVirtualWire();
  return {
    pic,
    ioapic: io,
    lapic: local,
    bus,
    setIrq(irq, level) {
      pic.setIrq(irq, level);
      io.setPin(irq === 0 ? 2 : irq, level);
    },
  };
}

function border(board: Board, { pic, lapic: local, ioapic: io }: Interrupts): DeviceBorder {
  const { ports, mmio } = board;
  return {
    ioRead: (port, bytes) => ports.read(port, bytes),
    ioWrite: (port, bytes, value) => ports.write(port, bytes, value),
    mmioRead: (gpa, bytes, out) => mmio.read(gpa, bytes, out),
    mmioWrite: (gpa, bytes, lo, hi) => mmio.write(gpa, bytes, lo, hi),
    ownsMsr: local.ownsMsr,
    rdmsr: local.rdmsr,
    wrmsr: local.wrmsr,
    readCr8: local.cr8,
    writeCr8: local.setCr8,
    acknowledgeInterrupt() {
      if (!local.enabled()) return pic.output() ? pic.acknowledge() : -1;
      const vector = local.acknowledge();
      if (vector >= 0) return vector;
      return pic.output() && (local.extInt() || io.extInt()) ? pic.acknowledge() : -1;
    },
  };
}
