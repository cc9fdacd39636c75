// Translated code stays within its bound: the oldest goes, comes back when it is hot again, and nothing else changes.

import { expect, it } from 'vitest';
import { Assembler } from '../../src/cpu/asm.ts';
import { Interpreter } from '../../src/cpu/interp/engine.ts';
import { createReferenceEngine } from '../../src/cpu/reference-engine.ts';
import { firstDifference } from '../../src/cpu/testing/compare.ts';
import { resetMachine, writeRam } from '../../src/cpu/testing/machine.ts';
import { WORLD } from '../../src/cpu/testing/world.ts';
import { AT_ONCE, Runner } from './harness.ts';

const BLOCKS = 40;
const MOST_BYTES = 6000;

/** Blocks that a computed jump keeps apart, so that each is a region of its own. */
function program(): Uint8Array {
  const blocks = Array.from({ length: BLOCKS }, (_, i) => {
    const next = (i + 1) % BLOCKS;
    return `l${i}:\nadd eax, ${i + 1}\nxor edx, eax\nlea rcx, [rip+l${next}]\njmp rcx`;
  });
  return new Assembler(64, WORLD.code.at).text(blocks.join('\n')).finish();
}

it('keeps no more WebAssembly than it may, and does what the reference does', () => {
  const code = program();
  const jit = new Runner((p) => new Interpreter(p, { ...AT_ONCE, mostBytes: MOST_BYTES }));
  const reference = new Runner(createReferenceEngine);
  const results = [reference, jit].map((r) => {
    resetMachine(r.machine, 'long');
    writeRam(r.machine, WORLD.code.at, code);
    r.machine.state.set64('rip', BigInt(WORLD.code.at));
    return r.run(BLOCKS * 4 * 5);
  });
  expect(firstDifference(reference.machine, jit.machine, results[0]!, results[1]!)).toBeNull();
  const stats = (jit.engine as Interpreter).stats();
  expect(stats['bytes of WebAssembly']).toBeGreaterThan(3 * MOST_BYTES);
  expect(stats['of them alive']).toBeLessThanOrEqual(MOST_BYTES);
  expect(stats['batches evicted']).toBeGreaterThan(0);
});

it('translates a page less often the more its code changes', () => {
  const jit = new Runner((p) => new Interpreter(p, AT_ONCE));
  const { machine, engine } = jit;
  resetMachine(machine, 'long');
  const changes = 400;
  for (let n = 0; n < changes; n++) {
    const code = new Assembler(64, WORLD.code.at).text(`back:\nadd eax, ${n}\njmp back`).finish();
    writeRam(machine, WORLD.code.at, code);
    if (engine.codeAt(WORLD.code.at, code.length)) engine.codeWritten(WORLD.code.at, code.length);
    machine.state.set64('rip', BigInt(WORLD.code.at));
    jit.run(4);
  }
  const { regions } = (engine as Interpreter).stats();
  expect(regions).toBeGreaterThan(4);
  expect(regions).toBeLessThan(changes / 4);
});

it('keeps nothing of programs whose pages have new ones', () => {
  const jit = new Runner((p) => new Interpreter(p, AT_ONCE));
  const { machine, engine } = jit;
  resetMachine(machine, 'long');
  const pages = WORLD.code.pages;
  const programs = 8 * pages;
  for (let n = 0; n < programs; n++) {
    const at = WORLD.code.at + (n % pages) * 4096;
    const code = new Assembler(64, at).text(`back:\nadd eax, ${n}\njmp back`).finish();
    writeRam(machine, at, code);
    if (engine.codeAt(at, code.length)) engine.codeWritten(at, code.length);
    machine.state.set64('rip', BigInt(at));
    jit.run(8);
  }
  const stats = (engine as Interpreter).stats();
  expect(stats.regions).toBeGreaterThanOrEqual(programs);
  const each = stats['bytes of WebAssembly']! / stats.modules!;
  expect(stats['of them alive']).toBeLessThanOrEqual(Math.ceil(each * pages) + pages);
});
