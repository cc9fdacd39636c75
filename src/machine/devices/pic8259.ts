// The PC's two 8259A interrupt controllers, cascaded on IR2, with the edge/level registers of later chipsets.

import { defineDevice, type Line } from '../device.ts';

const CASCADE = 2;
const ICW1 = { needIcw4: 0x01, single: 0x02, level: 0x08, init: 0x10 } as const;
const ICW4 = { autoEoi: 0x02, nested: 0x10 } as const;
const OCW3 = { select: 0x08, poll: 0x04, readRegister: 0x02, isr: 0x01 } as const;

/** Intel 8259A datasheet (231468-003). Bit masks have bit n for IRn. */
export interface PicChip {
  /** Levels of the inputs, and edges that were seen and not yet acknowledged. */
  lines: number;
  latched: number;
  mask: number;
  service: number;
  /** Level-triggered inputs, by ELCR; bits that exist in `elcrWritable`. */
  elcr: number;
  elcrWritable: number;
  levelMode: boolean;
  base: number;
  /** Next initialisation word expected: 2, 3, 4; 0 when initialised. */
  step: number;
  needIcw4: boolean;
  single: boolean;
  autoEoi: boolean;
  rotateOnAutoEoi: boolean;
  nested: boolean;
  specialMask: boolean;
  readService: boolean;
  poll: boolean;
  /** The input with the lowest priority; the next one has the highest. */
  lowest: number;
  cascade: number;
}

export interface PicState {
  master: PicChip;
  slave: PicChip;
}

/** What the processor's side sees. */
export interface Pic8259Face {
  setIrq(irq: number, level: boolean): void;
  /** Level of the master's INT. */
  output(): boolean;
  /** The two INTA cycles: the vector. Without a request it is the spurious one, IR7's. */
  acknowledge(): number;
}

export const pic8259 = defineDevice({
  name: 'pic8259',
  ref: 'Intel 8259A datasheet 231468; ICH9 datasheet 13.4 (ELCR)',
  claims: {
    pio: [
      [0x20, 2],
      [0xa0, 2],
      [0x4d0, 2],
    ],
  },
  state: (): PicState => ({ master: chip(0xf8, 0x04), slave: chip(0xde, 0x02) }),
  plug({ state, intr }: { state: PicState; intr: Line }) {
    const { master, slave } = state;
    const update = () => {
      input(master, CASCADE, request(slave, false) >= 0);
      intr.set(request(master, true) >= 0);
    };
    const acknowledge = () => {
      const irq = take(master, true);
      if (irq !== CASCADE || master.single) {
        update();
        return master.base + (irq < 0 ? 7 : irq);
      }
      const second = take(slave, false);
      input(master, CASCADE, false); // The slave's INT falls with INTA and rises again if it has more.
      update();
      return slave.base + (second < 0 ? 7 : second);
    };
    const ports = (c: PicChip, isMaster: boolean) => ({
      read(offset: number) {
        if (c.poll) {
          c.poll = false;
          const irq = take(c, isMaster);
          update();
          return irq < 0 ? 0 : 0x80 | irq;
        }
        if (offset === 1) return c.mask;
        return c.readService ? c.service : pending(c);
      },
      write(offset: number, value: number) {
        if (offset === 1) writeData(c, value, isMaster);
        else if ((value & ICW1.init) !== 0) initialise(c, value);
        else if ((value & OCW3.select) !== 0) writeOcw3(c, value);
        else writeOcw2(c, value);
        update();
      },
    });
    const face: Pic8259Face = {
      setIrq(irq, level) {
        if (irq === CASCADE) return; // Taken by the cascade.
        input(irq < 8 ? master : slave, irq & 7, level);
        update();
      },
      output: () => request(master, true) >= 0,
      acknowledge,
    };
    return {
      pio: [
        ports(master, true),
        ports(slave, false),
        {
          read: (offset: number) => (offset === 0 ? master : slave).elcr,
          write(offset: number, value: number) {
            const c = offset === 0 ? master : slave;
            c.elcr = value & c.elcrWritable;
            update();
          },
        },
      ],
      face,
    };
  },
});

function chip(elcrWritable: number, cascade: number): PicChip {
  return {
    lines: 0,
    latched: 0,
    mask: 0xff,
    service: 0,
    elcr: 0,
    elcrWritable,
    levelMode: false,
    base: 0,
    step: 0,
    needIcw4: false,
    single: false,
    autoEoi: false,
    rotateOnAutoEoi: false,
    nested: false,
    specialMask: false,
    readService: false,
    poll: false,
    lowest: 7,
    cascade,
  };
}

/** An edge-triggered input must stay high until it is acknowledged, else its request is gone (datasheet, "ICW1 LTIM"). */
function input(c: PicChip, ir: number, level: boolean): void {
  const bit = 1 << ir;
  if (!level) {
    c.lines &= ~bit;
    c.latched &= ~bit;
    return;
  }
  if ((c.lines & bit) === 0) c.latched |= bit;
  c.lines |= bit;
}

function levelInputs(c: PicChip): number {
  return c.levelMode ? 0xff : c.elcr;
}

/** The interrupt request register. */
function pending(c: PicChip): number {
  const level = levelInputs(c);
  return (c.lines & level) | (c.latched & ~level);
}

/** The request that INT stands for, -1 if none: unmasked, and above everything in service. */
function request(c: PicChip, isMaster: boolean): number {
  const wanted = pending(c) & ~c.mask;
  if (wanted === 0) return -1;
  let service = c.service;
  // Special mask mode: a masked level in service inhibits nobody.
  if (c.specialMask) service &= ~c.mask;
  // Special fully nested mode: the slave in service does not lock out its own higher requests.
  if (c.nested && isMaster) service &= ~c.cascade;
  for (let i = 1; i <= 8; i++) {
    const ir = (c.lowest + i) & 7;
    if ((service & (1 << ir)) !== 0) return -1;
    if ((wanted & (1 << ir)) !== 0) return ir;
  }
  return -1;
}

/** INTA or a poll: freezes, sets the in-service bit, clears the edge. */
function take(c: PicChip, isMaster: boolean): number {
  const ir = request(c, isMaster);
  if (ir < 0) return -1;
  c.latched &= ~(1 << ir);
  if (!c.autoEoi) c.service |= 1 << ir;
  else if (c.rotateOnAutoEoi) c.lowest = ir;
  return ir;
}

function initialise(c: PicChip, icw1: number): void {
  c.latched = 0; // The edge sense circuit is reset: an input must rise again.
  c.mask = 0;
  c.service = 0;
  c.lowest = 7;
  c.specialMask = false;
  c.readService = false;
  c.poll = false;
  c.levelMode = (icw1 & ICW1.level) !== 0;
  c.single = (icw1 & ICW1.single) !== 0;
  c.needIcw4 = (icw1 & ICW1.needIcw4) !== 0;
  c.autoEoi = false;
  c.nested = false;
  c.rotateOnAutoEoi = false;
  c.step = 2;
}

function writeData(c: PicChip, value: number, isMaster: boolean): void {
  switch (c.step) {
    case 2:
      c.base = value & 0xf8;
      c.step = c.single ? (c.needIcw4 ? 4 : 0) : 3;
      return;
    case 3:
      if (isMaster) c.cascade = value;
      c.step = c.needIcw4 ? 4 : 0;
      return;
    case 4:
      c.autoEoi = (value & ICW4.autoEoi) !== 0;
      c.nested = (value & ICW4.nested) !== 0;
      c.step = 0;
      return;
    default:
      c.mask = value;
  }
}

function writeOcw2(c: PicChip, value: number): void {
  const level = value & 7;
  switch (value >> 5) {
    case 0: // rotate in automatic EOI mode: clear
      c.rotateOnAutoEoi = false;
      return;
    case 1: // non-specific EOI
    case 5: {
      // rotate on non-specific EOI
      const ended = highestInService(c);
      if (ended < 0) return;
      c.service &= ~(1 << ended);
      if (value >> 5 === 5) c.lowest = ended;
      return;
    }
    case 3: // specific EOI
      c.service &= ~(1 << level);
      return;
    case 4: // rotate in automatic EOI mode: set
      c.rotateOnAutoEoi = true;
      return;
    case 6: // set priority
      c.lowest = level;
      return;
    case 7: // rotate on specific EOI
      c.service &= ~(1 << level);
      c.lowest = level;
      return;
    default: // 2: no operation
      return;
  }
}

/** In special mask mode a non-specific EOI does not end a masked level (datasheet, "End of Interrupt"). */
function highestInService(c: PicChip): number {
  const service = c.specialMask ? c.service & ~c.mask : c.service;
  for (let i = 1; i <= 8; i++) {
    const ir = (c.lowest + i) & 7;
    if ((service & (1 << ir)) !== 0) return ir;
  }
  return -1;
}

function writeOcw3(c: PicChip, value: number): void {
  if ((value & 0x40) !== 0) c.specialMask = (value & 0x20) !== 0;
  if ((value & OCW3.poll) !== 0) {
    c.poll = true;
    return;
  }
  if ((value & OCW3.readRegister) !== 0) c.readService = (value & OCW3.isr) !== 0;
}
