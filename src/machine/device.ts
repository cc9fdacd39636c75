// What a device is: plain state, the places it answers at, lines passed in, and small functions over its state.

/** A wire that a device drives: an interrupt request, a gate, a reset. */
export interface Line {
  set(level: boolean): void;
}

export type PortRange = readonly [first: number, length: number];
export type MmioRange = readonly [first: number, size: number];

/** Where a device answers. A machine model may move it; the order of the ranges is the order of the handlers. */
export interface Claims {
  readonly pio?: readonly PortRange[];
  readonly mmio?: readonly MmioRange[];
  readonly irq?: number;
}

/** One range of ports. An 8-bit device sees single bytes only; a `wide` one takes words and dwords whole. */
export interface PioHandler {
  readonly wide?: boolean;
  read(offset: number, bytes: number): number;
  write(offset: number, value: number, bytes: number): void;
}

/** One range of memory. Reads are whole aligned dwords; a write of 1 or 2 bytes keeps its offset and size. */
export interface MmioHandler {
  read(offset: number): number;
  write(offset: number, value: number, bytes: number): void;
}

/** What plugging a device in yields: handlers for the bus, and the face that the machine model wires up. */
export interface Plugged<Face> {
  readonly pio?: readonly PioHandler[];
  readonly mmio?: readonly MmioHandler[];
  readonly face: Face;
  /** The state has been assigned from a snapshot: whatever hangs on it outside the device follows. */
  restored?(): void;
}

export interface DeviceDefinition<
  State extends object,
  Given extends { readonly state: State },
  Face,
> {
  readonly name: string;
  /** Document and section. */
  readonly ref: string;
  readonly claims: Claims;
  /** State after power-on. Numbers, booleans, strings, arrays, typed arrays and nested objects of these only. */
  state(): State;
  /** Wires it up: `given` is the state and what else this device needs. */
  plug(given: Given): Plugged<Face>;
}

export function defineDevice<State extends object, Given extends { readonly state: State }, Face>(
  definition: DeviceDefinition<State, Given, Face>,
): DeviceDefinition<State, Given, Face> {
  return definition;
}

/** What an unclaimed byte reads as: nobody drives the bus. */
export const FLOATING = 0xff;
