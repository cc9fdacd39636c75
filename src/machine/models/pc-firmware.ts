// The firmware of a pc: for direct boot what a BIOS would have set up; for a ROM the ROM, and what it asks fw_cfg for.

import { InputError } from '../../base/errors.ts';
import type { FirmwareFacts } from '../acpi/facts.ts';
import { acpiFiles } from '../acpi/loader.ts';
import { FW_CFG, littleEndian } from '../devices/fw-cfg.ts';
import type { GuestRam } from '../memory.ts';
import { assignResources } from '../pci/assign.ts';
import { pirqOf } from '../pci/bus.ts';
import { COMMAND, CONFIG } from '../pci/config-space.ts';
import { PIRQ_PIN } from '../pci/irq-router.ts';
import { chipsetFacts, type ProcessorFacts, writeTables } from './firmware.ts';
import { PC, PC_SLOTS, PCI_WINDOW, type Pc } from './pc.ts';

/** IRQs of the PIRQ wires, as SeaBIOS links them too (src/fw/pciinit.c, 1.16). */
const PIRQ_IRQS = [10, 10, 11, 11] as const;
const RESET_PORT = 0xcf9;
const ROM_END = 2 ** 32;
const SHADOW_END = 0x100000;
/** More than this is not copied below 1 MiB: the last 256 KiB lie at 0xc0000. */
const SHADOW_BYTES = 0x40000;
const ROM_UNIT = 0x10000;

export function pcFacts(pc: Pc, processor: ProcessorFacts): FirmwareFacts {
  const base = chipsetFacts('PC', PC, RESET_PORT, processor);
  return {
    ...base,
    serials: [...base.serials, { port: PC.com2.pio![0]![0], irq: PC.com2.irq! }],
    keyboard: { irq: PC.keyboard.irq! },
    hpetBase: PC.hpet.mmio![0]![0],
    pci: {
      slots: [...new Set(pc.pci.present().map(({ slot }) => slot))].filter((slot) => slot > 0),
      irqs: PIRQ_IRQS,
      firstPin: PIRQ_PIN,
      pirqOf,
      window: PCI_WINDOW,
    },
  };
}

/** Direct boot: chips set up, tables in memory. Answers the RSDP's address. */
export function writePcFirmware(pc: Pc, ram: GuestRam, processor: ProcessorFacts): number {
  pc.ramLink.connect(ram);
  setUpChips(pc);
  describe(pc, ram);
  return writeTables(ram, pcFacts(pc, processor));
}

/** Boot by ROM: it lies below 4 GiB, and its end is copied below 1 MiB, where execution begins. */
export function loadRom(pc: Pc, ram: GuestRam, processor: ProcessorFacts, rom: Uint8Array): void {
  if (rom.length < ROM_UNIT || rom.length > 16 << 20 || rom.length % ROM_UNIT !== 0) {
    throw new InputError(
      'machine/rom-size',
      `the ROM has ${rom.length} bytes, and a BIOS has a multiple of 64 KiB up to 16 MiB`,
      'give a BIOS image such as /usr/share/seabios/bios.bin of the Debian package seabios',
    );
  }
  pc.ramLink.connect(ram);
  const shadow = rom.subarray(-Math.min(rom.length, SHADOW_BYTES));
  ram.write(SHADOW_END - shadow.length, shadow);
  const words = new DataView(rom.buffer, rom.byteOffset, rom.byteLength);
  pc.chipset.board.mmio.claim(ROM_END - rom.length, rom.length, {
    read: (offset) => words.getUint32(offset, true),
    write: () => {},
  });
  describe(pc, ram);
  for (const { name, bytes } of acpiFiles(pcFacts(pc, processor))) pc.fwCfg.addFile(name, bytes);
}

/** What firmware may ask: memory and processors. */
function describe({ fwCfg }: Pc, ram: GuestRam): void {
  fwCfg.set(FW_CFG.uuid, new Uint8Array(16));
  fwCfg.setNumber(FW_CFG.ramSize, ram.bytes, 8);
  fwCfg.setNumber(FW_CFG.noGraphic, 1, 2);
  fwCfg.setNumber(FW_CFG.processors, 1, 2);
  fwCfg.setNumber(FW_CFG.maxProcessors, 1, 2);
  fwCfg.setNumber(FW_CFG.numa, 0, 8);
  const e820 = new Uint8Array(20);
  e820.set(littleEndian(ram.bytes, 8), 8);
  e820[16] = 1;
  fwCfg.addFile('etc/e820', e820);
  // SeaBIOS then shows its screen on the first serial port.
  fwCfg.addFile('etc/sercon-port', littleEndian(PC.com1.pio![0]![0], 2));
}

function setUpChips(pc: Pc): void {
  const { pci, border } = pc;
  const at = (fn: number, offset: number) => (PC_SLOTS.piix << 11) | (fn << 8) | (offset & 0xfc);
  const write = (fn: number, offset: number, value: number, bytes: number) =>
    pci.write(at(fn, offset), offset & 3, value, bytes);
  PIRQ_IRQS.forEach((irq, n) => {
    write(0, 0x60 + n, irq, 1);
  });
  const levels = PIRQ_IRQS.reduce((bits, irq) => bits | (1 << irq), 0);
  border.ioWrite(0x4d1, 1, levels >> 8);
  assignResources(pci, { memory: 0xe0000000, irqs: PIRQ_IRQS });
  write(1, 0x40, 0x80008000, 4); // Both IDE channels are decoded.
  write(1, CONFIG.command, COMMAND.io, 2);
  write(3, 0x40, PC.pm.pio![0]![0], 4);
  write(3, 0x80, 1, 1);
  write(3, CONFIG.interruptLine, PC.pm.irq!, 1);
}
