// Kernels of a few bytes for tests: an ELF with one segment and a PVH note, and what to run it with.

import { findInterface } from '../../hypervisors/index.ts';
import { type KernelImage, openKernel } from '../../image/index.ts';
import type { LabConsole, LabHost } from '../host.ts';
import { DEFAULT_EPOCH_SECONDS, type RunSpec } from '../spec.ts';

export const LOAD_AT = 0x100000;
const HEADER = 64;
const PROGRAM_HEADER = 56;
const NOTE_BYTES = 20;
const PHYS32_ENTRY = 18;

/** The code runs at `LOAD_AT` in flat 32-bit mode without paging. `note` false leaves only the ELF entry. */
export function tinyElf(code: readonly number[], note = true, memBytes = code.length): Uint8Array {
  const codeAt = HEADER + 2 * PROGRAM_HEADER + NOTE_BYTES;
  const bytes = new Uint8Array(codeAt + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setUint32(24, LOAD_AT, true);
  view.setUint32(32, HEADER, true);
  view.setUint16(52, HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, note ? 2 : 1, true);
  programHeader(view, 0, 1, codeAt, LOAD_AT, code.length, memBytes);
  if (note) programHeader(view, 1, 4, HEADER + 2 * PROGRAM_HEADER, 0, NOTE_BYTES, NOTE_BYTES);
  const at = HEADER + 2 * PROGRAM_HEADER;
  view.setUint32(at, 4, true);
  view.setUint32(at + 4, 4, true);
  view.setUint32(at + 8, PHYS32_ENTRY, true);
  bytes.set([0x58, 0x65, 0x6e, 0], at + 12); // "Xen"
  view.setUint32(at + 16, LOAD_AT, true);
  bytes.set(code, codeAt);
  return bytes;
}

function programHeader(
  view: DataView,
  n: number,
  type: number,
  offset: number,
  paddr: number,
  fileBytes: number,
  memBytes: number,
): void {
  const at = HEADER + n * PROGRAM_HEADER;
  view.setUint32(at, type, true);
  view.setUint32(at + 4, 7, true); // To be read, written and executed.
  view.setUint32(at + 8, offset, true);
  view.setUint32(at + 16, paddr, true);
  view.setUint32(at + 24, paddr, true);
  view.setUint32(at + 32, fileBytes, true);
  view.setUint32(at + 40, memBytes, true);
}

export const tinyKernel = (code: readonly number[]): KernelImage =>
  openKernel(tinyElf(code), 'tiny');

/** mov dx, 0x3f8, then mov al, byte; out dx, al for each byte of the text. */
export function printing(text: string): number[] {
  const out = Array.from(text, (c) => [0xb0, c.charCodeAt(0), 0xee]).flat();
  return [0x66, 0xba, 0xf8, 0x03, ...out];
}

export const CLI_LOOP = [0xfa, 0xeb, 0xfe];
export const UD2 = [0x0f, 0x0b];

export function tinySpec(code: readonly number[], changes: Partial<RunSpec> = {}): RunSpec {
  return {
    kernel: tinyKernel(code),
    kernelDigest: '0'.repeat(64),
    on: findInterface('native'),
    initrd: null,
    append: '',
    memoryBytes: 16 << 20,
    time: 'virtual',
    engine: 'interpreter',
    timeoutSeconds: 0.01,
    hostCpuSeconds: null,
    expectText: null,
    failText: null,
    input: { kind: 'none' },
    seed: 0,
    epochSeconds: DEFAULT_EPOCH_SECONDS,
    ...changes,
  };
}

/** A host on which no time passes. */
export const stillHost: LabHost = {
  cpuSeconds: () => 0,
  nanos: () => 0,
  breathe: () => Promise.resolve(),
  rest: () => Promise.resolve(),
};

/** Keeps what was written. */
export class KeepingConsole implements LabConsole {
  text = '';

  async write(bytes: Uint8Array): Promise<void> {
    this.text += String.fromCharCode(...bytes.subarray(0, 1000));
  }
  read(): Uint8Array {
    return new Uint8Array(0);
  }
  quit(): boolean {
    return false;
  }
}
