// Branded numbers for things that must not be mixed; they cost nothing at run time.

declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** Guest-virtual (linear) address: a signed number, so that every canonical 64-bit address is exact. */
export type Gva = Branded<'gva'>;
/** Guest-physical address in bytes, 0 .. 2^52-1. */
export type Gpa = Branded<'gpa'>;
/** Guest-physical frame number: `gpa / 4096`. */
export type Pfn = Branded<'pfn'>;
/** Interrupt or exception vector, 0..255. */
export type Vector = Branded<'vector'>;
/** I/O port, 0..65535. */
export type Port = Branded<'port'>;

export const gva = (n: number): Gva => n as Gva;
export const gpa = (n: number): Gpa => n as Gpa;
export const pfn = (n: number): Pfn => n as Pfn;
export const vector = (n: number): Vector => (n & 0xff) as Vector;
export const port = (n: number): Port => (n & 0xffff) as Port;
