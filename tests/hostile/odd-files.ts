// Files of every kind as kernels of interfaces that a kernel must be built for: any of them ends in a verdict or a refusal.

import { InputError } from '../../src/base/errors.ts';
import { findInterface } from '../../src/hypervisors/index.ts';
import { openKernel } from '../../src/image/index.ts';
import { elfFile, PF_RWX } from '../../src/image/testing/elf-file.ts';
import { runKernel } from '../../src/lab/run.ts';
import { KeepingConsole, stillHost, tinySpec } from '../../src/lab/testing/tiny-kernel.ts';
import type { Chance } from './chance.ts';
import { damage, samples } from './image.ts';
import { nonsenseProgram } from './program.ts';

/** Guest seconds: enough to lose the way. */
const SECONDS = 0.0001;
const LOAD_AT = 0x100000;
const E_MACHINE_AT = 18;
/** ARM, AArch64, RISC-V, SPARC V9, and a number that nobody has (gABI, e_machine). */
const MACHINES = [40, 183, 243, 43, 0xffff];
const KERNELS = ['vmlinux64', 'vmlinux32', 'bzimage', 'bzimage-setup', 'deb'];

export interface OddFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Files that somebody might give by mistake. */
export function oddFiles(chance: Chance): readonly OddFile[] {
  const kernels = samples().filter(({ name }) => KERNELS.includes(name));
  const text = (words: string) => Uint8Array.from(Buffer.from(words));
  return [
    { name: 'an empty file', bytes: new Uint8Array(0) },
    { name: 'one byte', bytes: Uint8Array.of(0x7f) },
    { name: 'zeros', bytes: new Uint8Array(8192) },
    { name: 'a script', bytes: text('#!/bin/sh\necho boot\n') },
    { name: 'a DOS program', bytes: text('MZ\x90\0\x03\0\0\0PE\0\0') },
    { name: 'random bytes', bytes: chance.bytes(4096) },
    { name: 'random bytes behind the magic of ELF', bytes: behind('\x7fELF\x01\x01\x01', chance) },
    { name: 'random bytes behind the magic of gzip', bytes: behind('\x1f\x8b\x08', chance) },
    { name: 'random bytes behind the magic of ar', bytes: behind('!<arch>\n', chance) },
    ...MACHINES.map((machine) => ({
      name: `an ELF file of machine ${machine}`,
      bytes: foreign(machine),
    })),
    ...[32, 64].map((bits) => program(bits as 32 | 64, chance)),
    { name: 'an ELF file without segments', bytes: elfFile({ bits: 32, entry: LOAD_AT }) },
    { name: 'a module', bytes: elfFile({ bits: 32, relocatable: true }) },
    { name: 'a segment behind all memory', bytes: placed(0xfff00000, 0x1000) },
    { name: 'a segment larger than memory', bytes: placed(LOAD_AT, 0x7fff0000) },
    { name: 'an entry where nothing lies', bytes: placed(LOAD_AT, 64, 0xdeadb000) },
    ...kernels.map(({ name, bytes }) => ({ name, bytes })),
    ...kernels.flatMap(({ name, bytes }) =>
      [0.1, 0.5, 0.99].map((part) => ({
        name: `${part} of ${name}`,
        bytes: bytes.slice(0, Math.floor(bytes.length * part)),
      })),
    ),
    ...kernels.map(({ name, bytes }) => ({
      name: `${name}, damaged`,
      bytes: damage(chance, bytes),
    })),
  ];
}

/** Null if it ends as it should: in a verdict that is not ours to answer for, or in a sentence and a hint. */
export async function runOdd({ bytes }: OddFile, on: string): Promise<string | null> {
  try {
    const kernel = openKernel(bytes, 'file');
    const spec = tinySpec([], { kernel, on: findInterface(on), timeoutSeconds: SECONDS });
    const { verdict, reason } = await runKernel(stillHost, new KeepingConsole(), spec);
    return verdict === 'error' || verdict === 'up' || !isSentence(reason)
      ? `${verdict}: ${reason}`
      : null;
  } catch (error) {
    if (!(error instanceof InputError)) return error instanceof Error ? error.stack! : `${error}`;
    return isSentence(error.message) && isSentence(error.hint)
      ? null
      : `${error.code}: ${error.message}; ${error.hint}`;
  }
}

/** Some words in one line. */
const isSentence = (text: string): boolean => /^\S+( \S+){2,}$/.test(text);

function behind(magic: string, chance: Chance): Uint8Array {
  return Uint8Array.from([...Array.from(magic, (c) => c.charCodeAt(0)), ...chance.bytes(2048)]);
}

function program(bits: 32 | 64, chance: Chance): OddFile {
  const bytes = nonsenseProgram(chance, bits, LOAD_AT);
  return {
    name: `a program of ${bits} bits that is no kernel`,
    bytes: elfFile({ bits, entry: LOAD_AT, flags: PF_RWX, loads: [{ paddr: LOAD_AT, bytes }] }),
  };
}

function foreign(machine: number): Uint8Array {
  const bytes = placed(LOAD_AT, 64);
  new DataView(bytes.buffer).setUint16(E_MACHINE_AT, machine, true);
  return bytes;
}

function placed(paddr: number, memBytes: number, entry = paddr): Uint8Array {
  const bytes = new Uint8Array(64).fill(0x90);
  return elfFile({ bits: 32, entry, flags: PF_RWX, loads: [{ paddr, bytes, memBytes }] });
}
