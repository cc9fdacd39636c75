// Interrupt wires of a PC with a PIIX: ISA lines, four PIRQ wires steered by link registers, and the HPET's legacy mode.

import type { Line } from '../device.ts';
import { PIRQS } from './bus.ts';

/** 82371SB datasheet 2.2.11, PIRQRC: bit 7 set is "not routed"; IRQ 0, 1, 2, 8 and 13 are reserved. */
const LINK_OFF = 0x80;
const ROUTABLE = 0xdef8 & ~(1 << 8) & ~(1 << 13);
/** I/O APIC pins of the PIRQ wires; PCI interrupts are active low there. */
export const PIRQ_PIN = 16;
/** IRQ 0 and IRQ 8 belong to the HPET while its legacy replacement is on. */
const LEGACY = (1 << 0) | (1 << 8);

export interface IrqRouterState {
  /** Levels, bit n for IRQ n: ISA devices, the HPET; bit n for PIRQ n; and what was driven last. */
  isa: number;
  hpet: number;
  pirqs: number;
  driven: number;
  links: Uint8Array;
  legacy: boolean;
}

export interface IrqTargets {
  setIrq(irq: number, level: boolean): void;
  setPin(pin: number, level: boolean): void;
}

export class IrqRouter {
  readonly state: IrqRouterState = {
    isa: 0,
    hpet: 0,
    pirqs: 0,
    driven: 0,
    links: new Uint8Array(PIRQS).fill(LINK_OFF),
    legacy: false,
  };
  private readonly targets: IrqTargets;

  constructor(targets: IrqTargets) {
    this.targets = targets;
    for (let pirq = 0; pirq < PIRQS; pirq++) targets.setPin(PIRQ_PIN + pirq, true);
  }

  isa(irq: number): Line {
    return {
      set: (level) => {
        this.state.isa = withBit(this.state.isa, irq, level);
        this.drive(1 << irq);
      },
    };
  }

  /** The HPET drives IRQ 0 and 8 in legacy mode. */
  setHpet(irq: number, level: boolean): void {
    this.state.hpet = withBit(this.state.hpet, irq, level);
    this.drive(1 << irq);
  }

  setLegacy(on: boolean): void {
    this.state.legacy = on;
    this.drive(LEGACY);
  }

  setPirq(pirq: number, level: boolean): void {
    if (((this.state.pirqs >> pirq) & 1) === (level ? 1 : 0)) return;
    this.state.pirqs = withBit(this.state.pirqs, pirq, level);
    this.targets.setPin(PIRQ_PIN + pirq, !level);
    this.drive(this.linked(pirq));
  }

  setLink(pirq: number, value: number): void {
    const before = this.linked(pirq);
    this.state.links[pirq] = value;
    this.drive(before | this.linked(pirq));
  }

  private linked(pirq: number): number {
    const link = this.state.links[pirq]!;
    return (link & LINK_OFF) !== 0 ? 0 : (1 << (link & 15)) & ROUTABLE;
  }

  /** Brings the wires in `irqs` to the level of all that hangs on them. */
  private drive(irqs: number): void {
    const { state } = this;
    let wanted = state.legacy ? (state.isa & ~LEGACY) | state.hpet : state.isa;
    for (let pirq = 0; pirq < PIRQS; pirq++) {
      if (((state.pirqs >> pirq) & 1) !== 0) wanted |= this.linked(pirq);
    }
    const changed = (wanted ^ state.driven) & irqs;
    state.driven ^= changed;
    for (let irq = 0; irq < 16; irq++) {
      if (((changed >> irq) & 1) !== 0) this.targets.setIrq(irq, ((wanted >> irq) & 1) !== 0);
    }
  }
}

function withBit(mask: number, bit: number, level: boolean): number {
  return level ? mask | (1 << bit) : mask & ~(1 << bit);
}
