// The pc: a 440FX board with PCI, IDE, HPET, keyboard controller and firmware configuration, for any stock kernel.

import { bug } from '../../base/errors.ts';
import type { PioWindow } from '../bus.ts';
import { acpiPm } from '../devices/acpi-pm.ts';
import { debugConsole } from '../devices/debug-console.ts';
import { debugExit } from '../devices/debug-exit.ts';
import { FwCfgItems, fwCfg } from '../devices/fw-cfg.ts';
import { hpet } from '../devices/hpet.ts';
import { type I8042Face, i8042 } from '../devices/i8042.ts';
import { IDE_PRIMARY, IDE_SECONDARY, ideChannel } from '../devices/ide.ts';
import { geometryOf } from '../devices/ide-drive.ts';
import { uart16550 } from '../devices/uart16550.ts';
import type { Disk } from '../disk.ts';
import { PciBus, pciHostPorts } from '../pci/bus.ts';
import { IrqRouter } from '../pci/irq-router.ts';
import { hostBridge440fx, idePiix3, isaBridgePiix3, powerPiix4 } from '../pci/piix.ts';
import { RamLink } from '../ram-link.ts';
import {
  buildChipset,
  CHIPSET,
  type Chipset,
  type ChipsetDevice,
  type MachineModel,
} from './chipset.ts';
import type { BuiltMachine, MachineConfig } from './define.ts';

export type PcDevice =
  | ChipsetDevice
  | 'pciHost'
  | 'com2'
  | 'hpet'
  | 'keyboard'
  | 'fwCfg'
  | 'debugExit'
  | 'debugConsole';

export const PC: MachineModel<PcDevice> = {
  ...CHIPSET,
  pciHost: pciHostPorts.claims,
  com2: { pio: [[0x2f8, 8]], irq: 3 },
  hpet: hpet.claims,
  keyboard: i8042.claims,
  fwCfg: fwCfg.claims,
  debugExit: debugExit.claims,
  debugConsole: debugConsole.claims,
};

/** Guest memory for PCI, between RAM and the I/O APIC. */
export const PCI_WINDOW = { first: 0xc0000000, last: 0xfebfffff } as const;
/** Slots of the board's own chips; what the user plugs in follows. */
export const PC_SLOTS = { host: 0, piix: 1, firstFree: 2 } as const;
/** Two channels, two drives each. */
export const IDE_DISKS = 4;

export interface PcConfig extends MachineConfig {
  /** Primary master and slave, secondary master and slave. */
  readonly ideDisks?: readonly (Disk | null)[];
  /** Bytes of the second serial port. */
  readonly transmit2?: (byte: number) => void;
  /** Bytes of the firmware's debug console. */
  readonly debug?: (byte: number) => void;
  /** Plugs more functions in, before the guest runs. */
  readonly plug?: (pci: PciBus, chipset: Chipset) => void;
}

export interface Pc extends BuiltMachine {
  readonly pci: PciBus;
  readonly fwCfg: FwCfgItems;
  readonly keyboard: I8042Face;
  readonly ramLink: RamLink;
  readonly chipset: Chipset;
  /** What the debug exit port was told; -1: nothing. */
  exitStatus(): number;
}

export function createPc(config: PcConfig): Pc {
  const ramLink = new RamLink();
  let router: IrqRouter | null = null;
  let pmBlock: PioWindow | null = null;
  const chipset = buildChipset(config, PC, {
    isa: ({ setIrq, ioapic }) => {
      const made = new IrqRouter({ setIrq, setPin: ioapic.setPin });
      router = made;
      return (irq) => made.isa(irq);
    },
    placePm: (board, needs) => {
      const { face, ports } = board.addMovable('pm', acpiPm, needs);
      pmBlock = ports[0]!;
      return face;
    },
  });
  if (!router || !pmBlock) bug('the chipset did not ask for its variants');
  const { keyboard, exit } = addBoardDevices(chipset, router, config);
  const items = new FwCfgItems();
  chipset.board.add('fw-cfg', fwCfg, PC.fwCfg, { items, ram: () => ramLink.ram() });
  const pci = addPci(chipset, router, pmBlock, ramLink, config);
  config.plug?.(pci, chipset);
  return {
    ...chipset.machine,
    pci,
    fwCfg: items,
    keyboard,
    ramLink,
    chipset,
    exitStatus: exit.status,
  };
}

function addBoardDevices(chipset: Chipset, router: IrqRouter, config: PcConfig) {
  const { board, clock, power, interrupts, rtc, slots, consoles } = chipset;
  slots.addState('irq-router', router.state);
  board.add('com2', uart16550, PC.com2, {
    irq: router.isa(PC.com2.irq!),
    clock,
    timerName: 'uart16550.2.rx-timeout',
    transmit: config.transmit2 ?? (() => {}),
  });
  board.add('hpet', hpet, PC.hpet, {
    clock,
    setPin: interrupts.ioapic.setPin,
    setLegacyIrq: (irq, level) => router.setHpet(irq, level),
    setLegacy: (on) => router.setLegacy(on),
  });
  const keyboard = board.add('keyboard', i8042, PC.keyboard, {
    irq: router.isa(PC.keyboard.irq!),
    power,
  }).face;
  consoles.connect('keyboard', { receive: keyboard.press, room: keyboard.room });
  const exit = board.add('debug-exit', debugExit, PC.debugExit, { power }).face;
  board.add('debug-console', debugConsole, PC.debugConsole, {
    transmit: config.debug ?? (() => {}),
  });
  rtc.setUp(cmosBytes(config.ideDisks ?? []));
  return { keyboard, exit };
}

/** CMOS bytes that a BIOS reads: equipment, boot order and translation (SeaBIOS 1.16, src/hw/rtc.h). */
function cmosBytes(disks: readonly (Disk | null)[]): Readonly<Record<number, number>> {
  let translation = 0;
  disks.forEach((disk, n) => {
    // Two bits a disk: 0 none, 1 LBA.
    if (disk && geometryOf(disk).cylinders > 1024) translation |= 1 << (n * 2);
  });
  return {
    20: 0x02, // 0x14: a floating point unit; no floppy, no display
    56: 0x01, // 0x38: no signature check of a floppy
    57: translation, // 0x39
    61: 0x02, // 0x3d: first boot device: hard disk
    95: 0x00, // 0x5f: processors beyond the first
  };
}

function addPci(
  chipset: Chipset,
  router: IrqRouter,
  pmBlock: PioWindow,
  ram: RamLink,
  config: PcConfig,
): PciBus {
  const { board, clock, power, interrupts } = chipset;
  const pci = new PciBus({
    board,
    ram,
    send: (lo, hi, data) => sendMessage(interrupts.bus, lo, hi, data),
    setPirq: (pirq, level) => router.setPirq(pirq, level),
  });
  board.add('pci-host', pciHostPorts, PC.pciHost, { bus: pci, power });
  const disks = config.ideDisks ?? [];
  if (disks.length > IDE_DISKS) bug(`${disks.length} IDE disks`);
  const channels = [IDE_PRIMARY, IDE_SECONDARY].map(({ command, control, irq }, n) => {
    const { ports } = board.addMovable(`ide.${n}`, ideChannel, {
      name: `ide.${n}`,
      irq: router.isa(irq),
      clock,
      disks: [disks[n * 2] ?? null, disks[n * 2 + 1] ?? null],
    });
    return {
      decode(on: boolean) {
        ports[0]!.place(command, on);
        ports[1]!.place(control, on);
      },
    };
  });
  disks.forEach((disk, n) => {
    if (disk) chipset.slots.add(`disk.ide.${n}`, disk);
  });
  const { host, piix } = PC_SLOTS;
  pci.add('piix-host', hostBridge440fx, { slot: host }, {});
  pci.add('piix-isa', isaBridgePiix3, { slot: piix, multiFunction: true }, { router });
  pci.add('piix-ide', idePiix3, { slot: piix, function: 1 }, { channels });
  pci.add('piix-pm', powerPiix4, { slot: piix, function: 3 }, { block: pmBlock });
  return pci;
}

const MESSAGE_SPACE = 0xfee;

/** SDM 3A 11.11: the address says who, the data what. Writes elsewhere are no messages. */
function sendMessage(
  bus: Chipset['interrupts']['bus'],
  lo: number,
  hi: number,
  data: number,
): void {
  if (hi !== 0 || lo >>> 20 !== MESSAGE_SPACE) return;
  bus.deliver(
    (lo >>> 12) & 0xff,
    (lo & 0x4) !== 0,
    (data >> 8) & 7,
    data & 0xff,
    (data & 0x8000) !== 0,
  );
}
