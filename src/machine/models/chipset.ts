// What every PC of ours has, whatever its model: clock, interrupt controllers, timers, first serial port, power management.

import type { Border } from '../../cpu/border.ts';
import { Board } from '../board.ts';
import { MmioBus, type UnclaimedAccess } from '../bus.ts';
import { Clock } from '../clock.ts';
import { CpuLink, type MachineCpu } from '../cpu-link.ts';
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
import { type InputBody, type InputEvent, Inputs } from '../inputs.ts';
import type { MachineParts } from '../machine.ts';
import { type Power, type PowerSwitch, powerSwitch } from '../power.ts';
import { type Plain, SnapshotSlots } from '../snapshot.ts';

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

export interface MachineConfig {
  readonly ramBytes: number;
  /** Date and time of the RTC at instruction 0, in seconds since 1970. Part of the run. */
  readonly epochSeconds: number;
  /** Console output, a byte at a time. */
  transmit(byte: number): void;
  /** Each outside event, stamped, as it enters. */
  readonly record?: (event: InputEvent) => void;
  /** The total time skipped in halts, whenever it grows: the time stamp counter includes it. */
  readonly onSkip?: (skipped: number) => void;
  /** What the guest's TSC is ahead of the clock, after a write to it. */
  readonly tscOffset?: () => number;
  /** What CPUID offers of the local APIC. Both are on unless switched off. */
  readonly x2apic?: boolean;
  readonly tscDeadline?: boolean;
}

/** The parts of `Border` that devices answer; an interface puts CPUID, other MSRs and hypercalls around them. */
export type DeviceBorder = Pick<
  Border,
  'ioRead' | 'ioWrite' | 'mmioRead' | 'mmioWrite' | 'rdmsr' | 'wrmsr' | 'acknowledgeInterrupt'
> & {
  /** Whether an MSR belongs to the machine: 0x1b, 0x6e0, 0x800..0x8ff. */
  ownsMsr(index: number): boolean;
  readCr8(): number;
  writeCr8(value: number): void;
};

/** A machine as the rest of the world sees it. */
export interface BuiltMachine extends MachineParts {
  readonly border: DeviceBorder;
  readonly lapic: LapicFace;
  readonly snapshots: SnapshotSlots;
  connect(cpu: MachineCpu): void;
  /** Accesses that no device claimed, once each. */
  unclaimed(): readonly UnclaimedAccess[];
}

/** What a model may build on. */
export interface Chipset {
  readonly board: Board;
  readonly clock: Clock;
  readonly power: PowerSwitch;
  readonly slots: SnapshotSlots;
  readonly rtc: RtcFace;
  readonly interrupts: Interrupts;
  readonly machine: BuiltMachine;
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
  const link = new CpuLink();
  const slots = new SnapshotSlots();
  const clock = new Clock(link, config.onSkip);
  const inputs = new Inputs(config.record);
  const power: Power = { state: 'running', why: '' };
  const powerLines = powerSwitch(power, () => link.requestExit());
  const board = new Board(new MmioBus(), slots);
  const interrupts = wireInterrupts(board, model, config, link, clock, powerLines);
  const isa = variant.isa?.(interrupts) ?? isaLine(interrupts);

  board.add('pit', pit8254, model.pit, { irq: isa(model.pit.irq!), clock });
  const rtc = board.add('rtc', rtcCmos, model.rtc, { irq: isa(model.rtc.irq!), clock }).face;
  const uart = board.add('com1', uart16550, model.com1, {
    irq: isa(model.com1.irq!),
    clock,
    transmit: config.transmit,
  }).face;
  const pmNeeds = { sci: isa(model.pm.irq!), clock, power: powerLines, timerBits: 32 } as const;
  const pm = variant.placePm?.(board, pmNeeds) ?? board.add('pm', acpiPm, model.pm, pmNeeds).face;
  board.add('port92', port92, model.port92, { power: powerLines });
  board.add('post', postPort, model.post, {});
  rtc.start(config.epochSeconds, config.ramBytes);
  addSlots(slots, { power, clock, inputs, link });

  const machine: BuiltMachine = {
    clock,
    inputs,
    power,
    link,
    snapshots: slots,
    lapic: interrupts.lapic,
    // Nothing drives LINT1 here, so it wakes nobody, although firmware and kernels leave it open for NMIs.
    mayRaiseNmi: () => interrupts.ioapic.mayRaiseNmi() || interrupts.lapic.deliversNmi(0),
    apply: (input) => applyInput(input, uart, pm),
    consoleRoom: () => uart.room(),
    border: border(board, interrupts),
    connect: (cpu) => link.connect(cpu),
    unclaimed: () => [...board.ports.unclaimed, ...board.mmio.unclaimed],
  };
  return { board, clock, power: powerLines, slots, rtc, interrupts, machine };
}

function applyInput(input: InputBody, uart: UartFace, pm: AcpiPmFace): number {
  switch (input.kind) {
    case 'console':
      return uart.receive(input.bytes);
    case 'break':
      uart.receiveBreak();
      return 0;
    case 'power-button':
      pm.powerButton();
      return 0;
    case 'wake':
      return 0;
  }
}

interface SlotParts {
  readonly power: Power;
  readonly clock: Clock;
  readonly inputs: Inputs;
  readonly link: CpuLink;
}

function addSlots(slots: SnapshotSlots, { power, clock, inputs, link }: SlotParts): void {
  slots.addState('power', power);
  slots.add('clock', {
    save: () => clock.save() as unknown as Plain,
    restore: (saved) => clock.restore(saved as unknown as ReturnType<Clock['save']>),
  });
  slots.add('inputs', {
    save: () => inputs.save(),
    restore: (saved) => inputs.restore(saved as { position: number }),
  });
  slots.add('interrupt-line', {
    save: () => link.save(),
    restore: (saved) => link.restore(saved as ReturnType<CpuLink['save']>),
  });
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
