// A small BIOS, assembled for one machine: what kernels call in real mode while they start, and no more.

import { bug } from '../../../base/errors.ts';
import { Assembler } from '../../../cpu/asm.ts';
import { HIGH_RAM_START, type MemoryMapEntry } from '../../../machine/memory.ts';
import { disk, keyboard, video } from './console.ts';
import { interrupts, post, returns, VECTORS } from './post.ts';
import { system, time } from './system.ts';

/** The last 8 KiB below 1 MiB. Deviates: it lies in RAM, as shadowed ROMs do, but nothing protects it. */
export const BIOS_SEGMENT = 0xf000;
export const BIOS_BASE = BIOS_SEGMENT * 16;
const CODE_AT = 0xe000;
/** Where a PC starts: a jump; then the date, and the model byte of a PC AT. */
const RESET_VECTOR = 0xfff0;
const DATE_AT = 0xfff5;
const DATE = '01/01/24';
const MODEL_AT = 0xfffe;
const MODEL_AT_CLASS = 0xfc;
/** Second interrupt controller, clock chip, extended data area (INT 15h AH=C0h, feature byte 1). */
const SYSTEM_FEATURES = 0x64;
const EXCEPTION_TEXT = 'pvops BIOS: an exception in real mode\r\n\0';

/** INT numbers of 0 to 77h and who serves them; the rest does nothing. */
const SERVICES: Readonly<Record<number, string>> = {
  0: 'exception', // #DE
  6: 'exception', // #UD
  8: 'irq_timer',
  16: 'int10',
  17: 'int11',
  18: 'int12',
  19: 'int13',
  21: 'int15',
  22: 'int16',
  24: 'exception_end', // Nothing to boot.
  25: 'int19',
  26: 'int1a',
};

/** What INT 19h does: adds its code, which starts in real mode with no registers given. */
export type HandOver = (a: Assembler) => void;

export interface BiosRom {
  readonly gpa: number;
  readonly bytes: Uint8Array;
  /** Offset of its first instruction in `BIOS_SEGMENT`. */
  readonly entry: number;
}

export function biosRom(memoryMap: readonly MemoryMapEntry[], handOver: HandOver): BiosRom {
  const a = new Assembler(16, CODE_AT);
  a.text(`jmp post\n${post}\n${returns}\n${interrupts}\n${video}\n${keyboard}\n${disk}\n${time}`);
  a.text(system({ e820Entries: memoryMap.length, extendedKib: extendedKib(memoryMap) }));
  a.bind(a.label('int19'));
  handOver(a);
  a.use(16);
  a.bind(a.label('exception_text')).bytes(ascii(EXCEPTION_TEXT));
  a.bind(a.label('system_table')).dw(8).bytes(MODEL_AT_CLASS, 1, 0, SYSTEM_FEATURES, 0, 0, 0, 0);
  a.align(4);
  a.bind(a.label('e820_table'));
  for (const { start, size, type } of memoryMap) a.dq(start, size).dd(type);
  a.bind(a.label('vectors'));
  for (let n = 0; n < VECTORS; n++) a.dw(a.label(SERVICES[n] ?? defaultService(n)));
  return { gpa: BIOS_BASE + CODE_AT, bytes: rom(a.finish()), entry: CODE_AT };
}

function defaultService(n: number): string {
  if (n > 0x08 && n <= 0x0f) return 'irq_master';
  return n >= 0x70 ? 'irq_slave' : 'int_none';
}

function extendedKib(memoryMap: readonly MemoryMapEntry[]): number {
  const high = memoryMap.find(({ start, type }) => start === HIGH_RAM_START && type === 1);
  return (high?.size ?? 0) >> 10;
}

/** From the code to the end of the segment, with the places that a PC's ROM has at fixed addresses. */
function rom(code: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(0x10000 - CODE_AT);
  if (code.length > RESET_VECTOR - CODE_AT) bug(`the BIOS has ${code.length} bytes`);
  bytes.set(code);
  const reset = new Assembler(16, RESET_VECTOR).text(`jmpf ${BIOS_SEGMENT}:${CODE_AT}`).finish();
  bytes.set(reset, RESET_VECTOR - CODE_AT);
  bytes.set(ascii(DATE), DATE_AT - CODE_AT);
  bytes[MODEL_AT - CODE_AT] = MODEL_AT_CLASS;
  return bytes;
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
