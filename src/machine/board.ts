// A board under construction: gives each device its state, its place on the buses and its slot in snapshots.

import { bug } from '../base/errors.ts';
import { type MmioBus, type MmioWindow, type PioWindow, PortBus } from './bus.ts';
import type { Claims, DeviceDefinition, MmioHandler, PioHandler, Plugged } from './device.ts';
import type { SnapshotSlots } from './snapshot.ts';

/** What a device leaves behind once it is on the board. */
export interface Placed<Face> {
  readonly face: Face;
  readonly windows: readonly MmioWindow[];
}

/** A range that a device answers at. `first` is where the model puts it; null: the guest moves it. */
export type Range = { readonly first: number | null; readonly length: number } & (
  | { readonly space: 'port'; readonly handler: PioHandler }
  | { readonly space: 'memory'; readonly handler: MmioHandler }
);

/** One device on the board, by the names of its instance and of its definition. */
export interface Seat {
  readonly id: string;
  readonly device: string;
  readonly ranges: readonly Range[];
}

export class Board {
  readonly ports = new PortBus();
  /** Every device with registers, in the order of plugging. */
  readonly seats: Seat[] = [];
  readonly mmio: MmioBus;
  readonly slots: SnapshotSlots;

  constructor(mmio: MmioBus, slots: SnapshotSlots) {
    this.mmio = mmio;
    this.slots = slots;
  }

  /** A device whose ports the guest moves: its windows are nowhere until they are placed. */
  addMovable<State extends object, Given extends { readonly state: State }, Face>(
    id: string,
    device: DeviceDefinition<State, Given, Face>,
    needs: Omit<Given, 'state'>,
  ): { readonly face: Face; readonly ports: readonly PioWindow[] } {
    const state = device.state();
    const plugged = device.plug({ state, ...needs } as unknown as Given);
    const ports = (plugged.pio ?? []).map((handler, i) =>
      this.ports.window(device.claims.pio![i]![1], handler),
    );
    this.slots.addState(`device.${id}`, state, () => plugged.restored?.());
    this.seat(id, device.name, device.claims, plugged, true);
    return { face: plugged.face, ports };
  }

  /** `id` names this instance in snapshots; `at` is where the model puts it. */
  add<State extends object, Given extends { readonly state: State }, Face>(
    id: string,
    device: DeviceDefinition<State, Given, Face>,
    at: Claims,
    needs: Omit<Given, 'state'>,
  ): Placed<Face> {
    const state = device.state();
    // TypeScript does not see that Omit and its key make the whole again.
    const plugged = device.plug({ state, ...needs } as unknown as Given);
    const pio = at.pio ?? [];
    const mmio = at.mmio ?? [];
    if (pio.length !== (plugged.pio?.length ?? 0) || mmio.length !== (plugged.mmio?.length ?? 0)) {
      bug(`${device.name} has other ranges than its model claims`);
    }
    plugged.pio?.forEach((handler, i) => {
      this.ports.claim(pio[i]![0], pio[i]![1], handler);
    });
    const windows = (plugged.mmio ?? []).map((handler, i) =>
      this.mmio.claim(mmio[i]![0], mmio[i]![1], handler),
    );
    this.slots.addState(`device.${id}`, state, () => plugged.restored?.());
    this.seat(id, device.name, at, plugged);
    return { face: plugged.face, windows };
  }

  private seat(
    id: string,
    device: string,
    at: Claims,
    plugged: Plugged<unknown>,
    moves = false,
  ): void {
    const place = ([first, length]: readonly [number, number]) => ({
      first: moves ? null : first,
      length,
    });
    const ports = (plugged.pio ?? []).map(
      (handler, i): Range => ({ space: 'port', ...place(at.pio![i]!), handler }),
    );
    const memory = (plugged.mmio ?? []).map(
      (handler, i): Range => ({ space: 'memory', ...place(at.mmio![i]!), handler }),
    );
    this.seats.push({ id, device, ranges: [...ports, ...memory] });
  }
}
