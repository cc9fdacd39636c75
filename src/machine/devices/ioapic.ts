// I/O APIC: 24 inputs, each with a redirection entry that turns it into a message to local APICs.

import { defineDevice } from '../device.ts';
import { type ApicBus, DELIVERY } from './apic-bus.ts';

export const IOAPIC_PINS = 24;
const SELECT = 0x00;
const WINDOW = 0x10;
const EOI = 0x40;
const INDEX = { id: 0x00, version: 0x01, arbitration: 0x02, table: 0x10 } as const;
/** Version 0x20: with an EOI register (ICH9 datasheet 13.5.5, 13.5.7); highest entry 23. */
const VERSION = 0x20 | ((IOAPIC_PINS - 1) << 16);

/** Redirection entry, low half (82093AA datasheet 3.2.4). */
const ENTRY = {
  vector: 0xff,
  logical: 0x800,
  activeLow: 0x2000,
  remoteIrr: 0x4000,
  level: 0x8000,
  masked: 0x10000,
  writable: 0x1afff,
} as const;

export interface IoapicState {
  id: number;
  select: number;
  lo: Uint32Array;
  hi: Uint32Array;
  /** Electrical levels of the inputs, bit n for pin n. */
  lines: number;
}

export interface IoapicFace {
  setPin(pin: number, level: boolean): void;
  /** An unmasked entry in ExtINT mode is asserted: the 8259 has the vector. */
  extInt(): boolean;
  /** Some unmasked entry delivers NMIs: a halt with interrupts off may end. */
  mayRaiseNmi(): boolean;
}

export const ioapic = defineDevice({
  name: 'ioapic',
  ref: 'Intel 82093AA datasheet 290566; ICH9 datasheet 13.5',
  claims: { mmio: [[0xfec00000, 0x1000]] },
  state: (): IoapicState => ({
    id: 0,
    select: 0,
    lo: new Uint32Array(IOAPIC_PINS).fill(ENTRY.masked),
    hi: new Uint32Array(IOAPIC_PINS),
    lines: 0,
  }),
  plug({ state, bus, changed }: { state: IoapicState; bus: ApicBus; changed(): void }) {
    const asserted = (pin: number) =>
      ((state.lines >>> pin) & 1) !== ((state.lo[pin]! & ENTRY.activeLow) === 0 ? 0 : 1);
    const send = (pin: number, level: boolean) => {
      const lo = state.lo[pin]!;
      return bus.deliver(
        state.hi[pin]! >>> 24,
        (lo & ENTRY.logical) !== 0,
        (lo >> 8) & 7,
        lo & ENTRY.vector,
        level,
      );
    };
    /** A level is sent once, until its end of interrupt clears remote IRR. */
    const serviceLevel = (pin: number) => {
      const lo = state.lo[pin]!;
      if (!isLevel(lo) || (lo & (ENTRY.masked | ENTRY.remoteIrr)) !== 0 || !asserted(pin)) return;
      if (send(pin, true)) state.lo[pin] = state.lo[pin]! | ENTRY.remoteIrr;
    };
    const setPin = (pin: number, level: boolean) => {
      const bit = 1 << pin;
      if (((state.lines & bit) !== 0) === level) return;
      state.lines ^= bit;
      const lo = state.lo[pin]!;
      if (isLevel(lo)) serviceLevel(pin);
      // "Edge-sensitive interrupts signaled on a masked interrupt pin are ignored" (82093AA 3.2.4, mask).
      else if (mode(lo) !== DELIVERY.extInt && (lo & ENTRY.masked) === 0 && asserted(pin)) {
        send(pin, false);
      }
      if (mode(lo) === DELIVERY.extInt) changed();
    };
    const end = (vector: number) => {
      for (let pin = 0; pin < IOAPIC_PINS; pin++) {
        const lo = state.lo[pin]!;
        if ((lo & ENTRY.remoteIrr) === 0 || (lo & ENTRY.vector) !== vector) continue;
        state.lo[pin] = lo & ~ENTRY.remoteIrr;
        serviceLevel(pin);
      }
    };
    bus.listen({ endOfInterrupt: end });

    const readIndexed = () => {
      const index = state.select;
      if (index === INDEX.id) return state.id << 24;
      if (index === INDEX.version) return VERSION;
      if (index === INDEX.arbitration) return state.id << 24;
      const pin = (index - INDEX.table) >> 1;
      if (index < INDEX.table || pin >= IOAPIC_PINS) return 0;
      return (index & 1) === 0 ? state.lo[pin]! : state.hi[pin]!;
    };
    const writeIndexed = (value: number) => {
      const index = state.select;
      if (index === INDEX.id) state.id = (value >>> 24) & 0xf;
      const pin = (index - INDEX.table) >> 1;
      if (index < INDEX.table || pin >= IOAPIC_PINS) return;
      if ((index & 1) !== 0) {
        state.hi[pin] = value & 0xff000000;
        return;
      }
      const kept = state.lo[pin]! & ENTRY.remoteIrr;
      // Remote IRR is read-only; switching an entry to edge clears it, which is how older systems force an EOI.
      state.lo[pin] = (value & ENTRY.writable) | ((value & ENTRY.level) === 0 ? 0 : kept);
      serviceLevel(pin);
      changed();
    };
    const face: IoapicFace = {
      setPin,
      extInt() {
        for (let pin = 0; pin < IOAPIC_PINS; pin++) {
          const lo = state.lo[pin]!;
          if (mode(lo) === DELIVERY.extInt && (lo & ENTRY.masked) === 0 && asserted(pin))
            return true;
        }
        return false;
      },
      mayRaiseNmi: () =>
        state.lo.some((lo) => mode(lo) === DELIVERY.nmi && (lo & ENTRY.masked) === 0),
    };
    return {
      mmio: [
        {
          read(offset: number) {
            if (offset === SELECT) return state.select;
            return offset === WINDOW ? readIndexed() : 0;
          },
          write(offset: number, value: number, bytes: number) {
            if (offset === SELECT) state.select = value & 0xff;
            else if (offset === WINDOW && bytes === 4) writeIndexed(value);
            else if (offset === EOI) end(value & 0xff);
          },
        },
      ],
      face,
    };
  },
});

function mode(lo: number): number {
  return (lo >> 8) & 7;
}

/** NMI, INIT and ExtINT are edges whatever the trigger bit says (82093AA 3.2.4, delivery mode). */
function isLevel(lo: number): boolean {
  return (lo & ENTRY.level) !== 0 && mode(lo) <= DELIVERY.lowest;
}
