// The bridge chips of an Intel 440FX PC: host bridge, PIIX3 ISA bridge with PIRQ links, PIIX4 power management.

import type { PioWindow } from '../bus.ts';
import { PIRQS } from './bus.ts';
import { COMMAND, CONFIG } from './config-space.ts';
import { definePciDevice, type PciPort } from './define.ts';
import type { IrqRouter } from './irq-router.ts';

/** SeaBIOS takes a host bridge with this subsystem for an emulated PC, and then asks fw_cfg (src/fw/paravirt.c, 1.16). */
const EMULATED = { subsystemVendor: 0x1af4, subsystem: 0x1100 } as const;

const nothing = (): object => ({});

/** 82441FX. Deviates: memory behind the PAM registers is always RAM, readable and writable; they only store. */
export const hostBridge440fx = definePciDevice({
  name: 'i440fx',
  ref: 'Intel 82441FX (PMC) datasheet 290549, 3.2',
  identity: { vendor: 0x8086, device: 0x1237, revision: 2, classCode: 0x060000, ...EMULATED },
  registers: [
    // PAM0: RAM answers reads of the BIOS area, because the ROM was copied there before the first instruction.
    {
      at: 0x59,
      bytes: [0x10, 0, 0, 0, 0, 0, 0],
      writable: [0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33],
    },
    { at: 0x72, bytes: [0x02], writable: [0x78] }, // SMRAM control: there is no SMRAM.
  ],
  state: nothing,
  plug: (_given: { state: object; pci: PciPort }) => ({ face: {} }),
});

const PIRQRC = 0x60;

export const isaBridgePiix3 = definePciDevice({
  name: 'piix3-isa',
  ref: 'Intel 82371SB (PIIX3) datasheet 290550, 2.2',
  identity: { vendor: 0x8086, device: 0x7000, classCode: 0x060100, ...EMULATED },
  registers: [
    { at: 0x4c, bytes: [0x4d, 0, 0x03, 0], writable: [0xff, 0, 0xff, 0xff] }, // IORT, XBCS
    { at: PIRQRC, bytes: [0x80, 0x80, 0x80, 0x80], writable: [0x8f, 0x8f, 0x8f, 0x8f] },
    { at: 0x69, bytes: [0x02], writable: [0xfe] }, // TOM
    { at: 0x70, bytes: [0x80], writable: [0xcf] }, // MBIRQ0
    { at: 0x82, bytes: [0], writable: [0x0f] }, // DLC
  ],
  state: nothing,
  plug: ({ router }: { state: object; pci: PciPort; router: IrqRouter }) => ({
    face: {},
    configWritten(config) {
      for (let n = 0; n < PIRQS; n++) router.setLink(n, config[PIRQRC + n]!);
    },
  }),
});

const PMBASE = 0x40;
const PMREGMISC = 0x80;

/** The power management block is where PMBASE says once PMREGMISC enables it. */
export const powerPiix4 = definePciDevice({
  name: 'piix4-pm',
  ref: 'Intel 82371AB (PIIX4) datasheet 290562, 7.1',
  identity: { vendor: 0x8086, device: 0x7113, revision: 3, classCode: 0x068000, ...EMULATED },
  interruptPin: 1,
  registers: [
    { at: PMBASE, bytes: [1, 0, 0, 0], writable: [0xc0, 0xff] },
    // DEVACTB with APMC_EN set: firmware takes system management mode for set up already. There is none.
    { at: 0x58, bytes: [0, 0, 0, 0x02], writable: [0xff, 0xff, 0xff, 0] },
    { at: PMREGMISC, bytes: [0], writable: [0x01] },
    { at: 0x90, bytes: [1, 0, 0, 0], writable: [0xf0, 0xff] }, // SMBBASE; no SMBus answers there.
    { at: 0xd2, bytes: [0], writable: [0x0f] },
  ],
  state: nothing,
  plug: ({ block }: { state: object; pci: PciPort; block: PioWindow }) => ({
    face: {},
    configWritten(config) {
      const base = (config[PMBASE]! & 0xc0) | (config[PMBASE + 1]! << 8);
      block.place(base, (config[PMREGMISC]! & 1) !== 0 && base !== 0);
    },
  }),
});

/** Bit 15 of IDETIM: the channel's legacy ports are decoded. */
const IDETIM = 0x40;
const DECODE = 0x80;

/** Deviates: without the bus master registers (BAR 4), so that drivers use PIO. */
export const idePiix3 = definePciDevice({
  name: 'piix3-ide',
  ref: 'Intel 82371SB (PIIX3) datasheet 290550, 2.3; PCI IDE Controller 1.0',
  identity: { vendor: 0x8086, device: 0x7010, classCode: 0x010100, ...EMULATED },
  registers: [{ at: IDETIM, bytes: [0, 0, 0, 0, 0], writable: [0xff, 0xff, 0xff, 0xff, 0xff] }],
  state: nothing,
  plug: ({
    channels,
  }: {
    state: object;
    pci: PciPort;
    channels: readonly { decode(on: boolean): void }[];
  }) => ({
    face: {},
    configWritten(config) {
      const on = (config[CONFIG.command]! & COMMAND.io) !== 0;
      channels.forEach((channel, n) => {
        channel.decode(on && (config[IDETIM + 1 + n * 2]! & DECODE) !== 0);
      });
    },
  }),
});
