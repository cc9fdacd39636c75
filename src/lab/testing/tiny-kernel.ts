// Kernels of a few bytes for tests: an ELF with one segment and a PVH note, and what to run it with.

import { findInterface } from '../../hypervisors/index.ts';
import { type KernelImage, openKernel } from '../../image/index.ts';
import { elfFile, PF_RWX } from '../../image/testing/elf-file.ts';
import type { LabConsole, LabHost } from '../host.ts';
import { DEFAULT_EPOCH_SECONDS, type RunSpec } from '../spec.ts';

export const LOAD_AT = 0x100000;
const PHYS32_ENTRY = 18;

/** The code runs at `LOAD_AT` in flat 32-bit mode without paging. `note` false leaves only the ELF entry. */
export function tinyElf(code: readonly number[], note = true, memBytes = code.length): Uint8Array {
  const desc = new Uint8Array(Uint32Array.of(LOAD_AT).buffer);
  return elfFile({
    bits: 64,
    entry: LOAD_AT,
    flags: PF_RWX,
    loads: [{ paddr: LOAD_AT, bytes: Uint8Array.from(code), memBytes }],
    notes: note ? [{ name: 'Xen', type: PHYS32_ENTRY, desc }] : [],
  });
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
