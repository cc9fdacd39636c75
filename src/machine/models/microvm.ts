// The microvm: the least hardware that a stock kernel needs to reach a shell on a serial console.

import type { Border } from '../../cpu/border.ts';
import { Board } from '../board.ts';
import { MmioBus, type UnclaimedAccess } from '../bus.ts';
import { Clock } from '../clock.ts';
import { CpuLink, type MachineCpu } from '../cpu-link.ts';
import type { Claims, Line } from '../device.ts';
import { acpiPm } from '../devices/acpi-pm.ts';
import { ApicBus } from '../devices/apic-bus.ts';
import { i8042 } from '../devices/i8042.ts';
import { type IoapicFace, ioapic } from '../devices/ioapic.ts';
import { type LapicFace, lapic } from '../devices/lapic.ts';
import { type Pic8259Face, pic8259 } from '../devices/pic8259.ts';
import { pit8254 } from '../devices/pit8254.ts';
import { port92 } from '../devices/port92.ts';
import { postPort } from '../devices/post-port.ts';
import { resetControl } from '../devices/reset-control.ts';
import { rtcCmos } from '../devices/rtc-cmos.ts';
import { uart16550 } from '../devices/uart16550.ts';
import { type InputBody, type InputEvent, Inputs } from '../inputs.ts';
import type { MachineParts } from '../machine.ts';
import { type Power, powerSwitch } from '../power.ts';
import { type Plain, SnapshotSlots } from '../snapshot.ts';

/** A machine model: which devices it has, and where. */
export type MachineModel<Name extends string> = Readonly<Record<Name, Claims>>;

export type MicrovmDevice =
  | 'pic'
  | 'ioapic'
  | 'lapic'
  | 'pit'
  | 'rtc'
  | 'com1'
  | 'pm'
  | 'reset'
  | 'keyboard'
  | 'port92'
  | 'post';

/** Everything at its PC place; the ACPI and MP tables are written from this same table. */
export const MICROVM: MachineModel<MicrovmDevice> = {
  pic: pic8259.claims,
  ioapic: ioapic.claims,
  lapic: lapic.claims,
  pit: pit8254.claims,
  rtc: rtcCmos.claims,
  com1: uart16550.claims,
  pm: acpiPm.claims,
  reset: resetControl.claims,
  keyboard: i8042.claims,
  port92: port92.claims,
  post: postPort.claims,
};

export interface MicrovmConfig {
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

export interface Microvm extends MachineParts {
  readonly border: DeviceBorder;
  readonly lapic: LapicFace;
  readonly snapshots: SnapshotSlots;
  connect(cpu: MachineCpu): void;
  /** Accesses that no device claimed, once each. */
  unclaimed(): readonly UnclaimedAccess[];
}

export function createMicrovm(config: MicrovmConfig): Microvm {
  const link = new CpuLink();
  const slots = new SnapshotSlots();
  const clock = new Clock(link, config.onSkip);
  const inputs = new Inputs(config.record);
  const power: Power = { state: 'running', why: '' };
  const powerLines = powerSwitch(power, () => link.requestExit());
  const board = new Board(new MmioBus(), slots);
  const interrupts = wireInterrupts(board, config, link, clock, powerLines);

  board.add('pit', pit8254, MICROVM.pit, { irq: interrupts.isa(MICROVM.pit), clock });
  const rtc = board.add('rtc', rtcCmos, MICROVM.rtc, {
    irq: interrupts.isa(MICROVM.rtc),
    clock,
  }).face;
  const uart = board.add('com1', uart16550, MICROVM.com1, {
    irq: interrupts.isa(MICROVM.com1),
    clock,
    transmit: config.transmit,
  }).face;
  const pm = board.add('pm', acpiPm, MICROVM.pm, {
    sci: interrupts.isa(MICROVM.pm),
    clock,
    power: powerLines,
    timerBits: 32,
  }).face;
  board.add('reset', resetControl, MICROVM.reset, { power: powerLines });
  board.add('keyboard', i8042, MICROVM.keyboard, { power: powerLines });
  board.add('port92', port92, MICROVM.port92, { power: powerLines });
  board.add('post', postPort, MICROVM.post, {});
  rtc.start(config.epochSeconds, config.ramBytes);

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

  return {
    clock,
    inputs,
    power,
    link,
    snapshots: slots,
    lapic: interrupts.lapic,
    // Nothing drives LINT1 here, so it wakes nobody, although firmware and kernels leave it open for NMIs.
    mayRaiseNmi: () => interrupts.ioapic.mayRaiseNmi() || interrupts.lapic.deliversNmi(0),
    apply(input: InputBody) {
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
    },
    consoleRoom: () => uart.room(),
    border: border(board, interrupts),
    connect: (cpu) => link.connect(cpu),
    unclaimed: () => [...board.ports.unclaimed, ...board.mmio.unclaimed],
  };
}

interface Interrupts {
  readonly pic: Pic8259Face;
  readonly ioapic: IoapicFace;
  readonly lapic: LapicFace;
  /** The ISA line of a device's IRQ: to the 8259 pair and to the I/O APIC, where IRQ 0 is pin 2. */
  isa(claims: Claims): Line;
}

/** INTR is the local APIC's; the 8259 reaches it through LINT0 and pin 0, or directly when the APIC is off. */
function wireInterrupts(
  board: Board,
  config: MicrovmConfig,
  link: CpuLink,
  clock: Clock,
  power: ReturnType<typeof powerSwitch>,
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
  const localPlaced = board.add('lapic', lapic, MICROVM.lapic, {
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
  const io = board.add('ioapic', ioapic, MICROVM.ioapic, { bus, changed }).face;
  const intr: Line = {
    set(level) {
      local.setLint(0, level);
      io.setPin(0, level);
      changed();
    },
  };
  const pic = board.add('pic', pic8259, MICROVM.pic, { intr }).face;
  ready = true;
  local.enterVirtualWire();
  return {
    pic,
    ioapic: io,
    lapic: local,
    isa(claims) {
      const irq = claims.irq!;
      const pin = irq === 0 ? 2 : irq;
      return {
        set(level) {
          pic.setIrq(irq, level);
          io.setPin(pin, level);
        },
      };
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
