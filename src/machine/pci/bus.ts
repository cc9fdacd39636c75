// PCI bus 0: its functions, configuration mechanism 1, and the way of INTx pins to the four PIRQ wires.

import { bug } from '../../base/errors.ts';
import type { Board, Range } from '../board.ts';
import { defineDevice, type PioHandler } from '../device.ts';
import { type ResetControlState, resetRegister } from '../devices/reset-control.ts';
import type { PowerSwitch } from '../power.ts';
import type { RamLink } from '../ram-link.ts';
import { allBars, layOutConfig } from './config-space.ts';
import type { BarHandler, PciDefinition, PciPlace, PciPort } from './define.ts';
import { PciFunction } from './function.ts';
import { msixState, type SendMessage } from './msix.ts';

export const PIRQS = 4;
const SLOTS = 32;
const FUNCTIONS = 8;

export interface PciBusParts {
  readonly board: Board;
  readonly ram: RamLink;
  readonly send: SendMessage;
  /** Level of a PIRQ wire, 0..3. */
  setPirq(pirq: number, level: boolean): void;
}

/** The PIRQ wire of a pin (1..4): slot 1's INTA is wire 0, and each slot turns by one, as boards with a PIIX are wired. */
export function pirqOf(slot: number, pin: number): number {
  return (slot - 1 + (pin - 1)) & (PIRQS - 1);
}

export class PciBus {
  private readonly parts: PciBusParts;
  private readonly functions: (PciFunction | null)[] = new Array(SLOTS * FUNCTIONS).fill(null);
  private readonly pins: { readonly pirq: number; readonly fn: PciFunction }[] = [];

  constructor(parts: PciBusParts) {
    this.parts = parts;
  }

  /** `id` names this instance in snapshots. Functions of one slot share a multi-function header if there are several. */
  add<State extends object, Given extends { readonly state: State; readonly pci: PciPort }, Face>(
    id: string,
    definition: PciDefinition<State, Given, Face>,
    place: PciPlace & { readonly multiFunction?: boolean },
    needs: Omit<Given, 'state' | 'pci'>,
  ): Face {
    const { board, ram, send } = this.parts;
    const index = place.slot * FUNCTIONS + (place.function ?? 0);
    if (this.functions[index]) bug(`PCI slot ${place.slot} is taken twice`);
    const layout = layOutConfig(definition, place.multiFunction ?? false);
    const pin = definition.interruptPin ?? 0;
    const pirq = pin === 0 ? -1 : pirqOf(place.slot, pin);
    const fn = new PciFunction({
      layout,
      state: {
        config: layout.bytes,
        msix: msixState(definition.msix?.vectors ?? 0),
        pin: false,
      },
      ram,
      send,
      pinChanged: () => this.update(pirq),
    });
    const state = definition.state();
    // TypeScript does not see that Omit and its keys make the whole again.
    const plugged = definition.plug({ state, pci: fn.port, ...needs } as unknown as Given);
    const handlers = [...(plugged.bars ?? [])];
    if (handlers.length !== (definition.bars?.length ?? 0))
      bug(`${id} has other BARs than handlers`);
    if (definition.msix) handlers.push({ memory: fn.msix.handler() });
    board.seats.push({
      id,
      device: definition.name,
      ranges: allBars(definition).map((shape, i) => seatRange(shape.size, handlers[i]!)),
    });
    const bars = allBars(definition).map((shape, i) => {
      const { io, memory } = handlers[i]!;
      if (io) return { shape, io: board.ports.window(shape.size, io) };
      const window = board.mmio.claim(0, shape.size, memory);
      window.place(0, false);
      return { shape, memory: window };
    });
    this.functions[index] = fn;
    if (pirq >= 0) this.pins.push({ pirq, fn });
    board.slots.addState(`device.${id}`, state);
    fn.complete(plugged, bars);
    board.slots.addState(`pci.${id}`, fn.state, () => fn.restored());
    return plugged.face;
  }

  /** `address` as in the configuration address register, `offset` 0..3 in its dword. */
  read(address: number, offset: number, bytes: number): number {
    const fn = this.selected(address);
    if (!fn) return 0xffffffff >>> (32 - bytes * 8);
    return fn.read((address & 0xfc) + offset, bytes);
  }

  write(address: number, offset: number, value: number, bytes: number): void {
    this.selected(address)?.write((address & 0xfc) + offset, value, bytes);
  }

  /** Every function that is there, in the order of their numbers. */
  present(): readonly { readonly slot: number; readonly function: number }[] {
    return this.functions.flatMap((fn, i) =>
      fn ? [{ slot: Math.floor(i / FUNCTIONS), function: i % FUNCTIONS }] : [],
    );
  }

  private selected(address: number): PciFunction | null {
    if (((address >>> 16) & 0xff) !== 0) return null; // There is bus 0 only.
    return this.functions[(address >>> 8) & 0xff]!;
  }

  private update(pirq: number): void {
    if (pirq < 0) return;
    this.parts.setPirq(
      pirq,
      this.pins.some((p) => p.pirq === pirq && p.fn.asserted()),
    );
  }
}

function seatRange(length: number, { io, memory }: BarHandler): Range {
  return io
    ? { space: 'port', first: null, length, handler: io }
    : { space: 'memory', first: null, length, handler: memory };
}

export interface PciHostState {
  address: number;
  reset: ResetControlState;
}

const ENABLED = 0x80000000;
/** The reset control register lies under byte 1 of the address port, and is reached by byte accesses only. */
const RESET_CONTROL = 1;

/** PCI 3.0 3.2.2.3.2. */
export const pciHostPorts = defineDevice({
  name: 'pci-host-ports',
  ref: 'PCI Local Bus 3.0 3.2.2.3.2; 82371SB datasheet 2.6 (RC register)',
  claims: {
    pio: [
      [0xcf8, 4],
      [0xcfc, 4],
    ],
  },
  state: (): PciHostState => ({ address: 0, reset: { value: 0 } }),
  plug({ state, bus, power }: { state: PciHostState; bus: PciBus; power: PowerSwitch }) {
    const reset = resetRegister(state.reset, power);
    const addressPort: PioHandler = {
      wide: true,
      read(offset, bytes) {
        if (offset === 0 && bytes === 4) return state.address;
        return offset === RESET_CONTROL && bytes === 1
          ? reset.read(0, 1)
          : 0xffffffff >>> (32 - bytes * 8);
      },
      write(offset, value, bytes) {
        if (offset === 0 && bytes === 4) state.address = (value & 0x80fffffc) >>> 0;
        else if (offset === RESET_CONTROL && bytes === 1) reset.write(0, value, 1);
      },
    };
    const enabled = () => (state.address & ENABLED) !== 0;
    const dataPort: PioHandler = {
      wide: true,
      read: (offset, bytes) =>
        enabled() ? bus.read(state.address, offset, bytes) : 0xffffffff >>> (32 - bytes * 8),
      write(offset, value, bytes) {
        if (enabled()) bus.write(state.address, offset, value, bytes);
      },
    };
    return { pio: [addressPort, dataPort], face: {} };
  },
});
