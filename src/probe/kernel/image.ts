// The probe kernel as a file: every part in its place, for the bindings and probes that it is given.

import { bug } from '../../base/errors.ts';
import { bindingIn, type GuestBinding, type GuestNote, KERNEL_VECTORS } from '../../ops/index.ts';
import type { Probe } from '../define.ts';
import { skipReason } from '../plan.ts';
import { ANSWERS_MAX, ProbeEmitter } from './answers.ts';
import { elfFile, emitNote } from './elf.ts';
import { type Emitter, IMAGE_AT, PAGE } from './emitter.ts';
import { ENTRY64_AT, emitEntries, emitHead } from './entry.ts';
import { emitLibrary } from './library.ts';
import { emitMain } from './main.ts';
import { COUNTED, emitMeasures, type MeasurePlan } from './measure.ts';
import { emitChoice, emitParavirt, emitPatching, emitSites, labelOf } from './paravirt.ts';
import { emitPrinting } from './print.ts';
import { emitTrapHandler, emitTrapStubs, TRAP_VECTORS, trapStub } from './traps.ts';

/** XEN_ELFNOTE_PHYS32_ENTRY (xen/include/public/elfnote.h). */
const PHYS32_ENTRY: GuestNote = { owner: 'Xen', type: 18, value: { label: 'entry.pvh' } };
const FLAT = { code32: 0x00cf9b00, code64: 0x00af9b00, data: 0x00cf9300, user: 0x6000 } as const;

export interface ProbeImage {
  readonly bits: 32 | 64;
  readonly elf: Uint8Array;
  /** What the ELF file loads at `IMAGE_AT`, and how much memory it has there. */
  readonly image: Uint8Array;
  readonly memoryBytes: number;
  /** Addresses by label, for whoever debugs it. */
  addressOf(label: string): number;
}

/** `given`: native's first. */
export function probeImage(
  bits: 32 | 64,
  given: readonly GuestBinding[],
  probes: readonly Probe[],
  measures: MeasurePlan = COUNTED,
): ProbeImage {
  const bindings = given.map((binding) => bindingIn(binding, bits));
  if (!bindings[0] || bindings[0].detect || bindings[0].start)
    bug('the first binding is what is left when no other is found');
  const code = new ProbeEmitter(bits);
  emitHead(code);
  emitEntries(code, bindings);
  emitStarts(code, bindings);
  emitMain(
    code,
    bindings,
    probes
      .map((probe) => ({ probe, mask: maskOf(probe, bits, bindings) }))
      .filter(({ mask }) => mask !== 0),
  );
  emitMeasures(code, measures);
  emitLibrary(code);
  emitPrinting(code);
  emitTrapHandler(code);
  const fitting = bindings.map((binding) =>
    binding.bits.includes(bits) ? binding : { ...bindings[0]!, id: binding.id },
  );
  emitBackEnds(code, fitting);
  const notes = emitNotes(code, fitting);
  emitData(code);
  code.bind('kernel.data_end');
  const memoryEnd = placeMemory(code, fitting);
  const image = code.finish();
  const entry = IMAGE_AT + (bits === 64 ? ENTRY64_AT : 0);
  const memoryBytes = memoryEnd - IMAGE_AT;
  const elf = elfFile({ bits, image, memoryBytes, entry, notes });
  return { bits, elf, image, memoryBytes, addressOf: (label) => code.addressOf(label) };
}

const maskOf = (probe: Probe, bits: 32 | 64, bindings: readonly GuestBinding[]): number =>
  bindings.reduce(
    (mask, binding, n) => (skipReason(probe, binding, bits) === null ? mask | (1 << n) : mask),
    0,
  );

function emitStarts(code: Emitter, bindings: readonly GuestBinding[]): void {
  for (const [n, { start, bits }] of bindings.entries()) {
    if (!start || !bits.includes(code.bits)) continue;
    code.text(`${start.label}:; mov dword ptr [kernel.binding], ${n}`);
    start.emit(code);
  }
}

function emitBackEnds(code: Emitter, bindings: readonly GuestBinding[]): void {
  emitParavirt(code, bindings);
  emitChoice(code, bindings);
  emitPatching(code);
  for (const binding of bindings) {
    if (binding.bits.includes(code.bits)) binding.beside?.(code);
    if (binding === bindings[0] || binding.operations['irq.adjust_exception_frame'])
      emitTrapStubs(code, binding);
  }
  code.align(8).text('kernel.trap_sources:');
  for (const binding of bindings) {
    const own = binding.operations['irq.adjust_exception_frame'] ? binding : bindings[0]!;
    code.dd(`${labelOf(own.id)}.stubs`);
  }
  for (const binding of bindings) {
    if (binding !== bindings[0] && !binding.operations['irq.adjust_exception_frame']) continue;
    code.text(`${labelOf(binding.id)}.stubs:`);
    for (let vector = 0; vector < KERNEL_VECTORS; vector++)
      code.dd(TRAP_VECTORS.includes(vector) ? trapStub(binding.id, vector) : 0);
  }
}

function emitNotes(
  code: Emitter,
  bindings: readonly GuestBinding[],
): { at: number; bytes: number } {
  code.align(8);
  const at = code.here;
  const own = bindings.flatMap(({ start }) => start?.notes ?? []);
  for (const { owner, type, value } of [PHYS32_ENTRY, ...own]) {
    if (typeof value === 'number') emitNote(code, owner, type, littleWord(value, code.word));
    else if ('label' in value) emitNote(code, owner, type, value.label);
    else
      emitNote(
        code,
        owner,
        type,
        Uint8Array.from(`${value.text}\0`, (c) => c.charCodeAt(0)),
      );
  }
  return { at, bytes: code.here - at };
}

function littleWord(value: number, bytes: number): Uint8Array {
  const wide = BigInt.asUintN(64, BigInt(value));
  return Uint8Array.from({ length: bytes }, (_, n) => Number((wide >> BigInt(8 * n)) & 0xffn));
}

/** What must be there before memory is zeroed, or is not zero. */
function emitData(code: Emitter): void {
  emitSites(code);
  code.align(8).text('kernel.boot_way:').dd(0).text('kernel.binding:').dd(0);
  code.text('kernel.boot_argument:').dq(0);
  const record = (name: string, limit: number, table: string) => {
    code
      .align(8)
      .bytes(0, 0, 0, 0, 0, 0)
      .text(`${name}:`)
      .bytes(limit & 0xff, limit >> 8);
    code.dw(table);
  };
  record('kernel.gdt_record', 0xff, 'kernel.gdt');
  record('kernel.idt_record', KERNEL_VECTORS * (code.bits === 64 ? 16 : 8) - 1, 'kernel.idt');
  code.align(PAGE).text('kernel.gdt:');
  const own = code.bits === 64 ? FLAT.code64 : FLAT.code32;
  const high: Readonly<Record<number, number>> = {
    2: FLAT.code32,
    12: own,
    13: FLAT.data,
    14: own | FLAT.user,
    15: FLAT.data | FLAT.user,
  };
  for (let n = 0; n < PAGE / 8; n++) code.dd(high[n] === undefined ? 0 : 0xffff, high[n] ?? 0);
}

/** Zeroed by the loader, or by the entry. */
function placeMemory(code: Emitter, bindings: readonly GuestBinding[]): number {
  let next = code.here;
  const place = (name: string, bytes: number, align = 8) => {
    next = Math.ceil(next / align) * align;
    code.place(name, next);
    next += bytes;
  };
  place('kernel.bss', 0, PAGE);
  for (const name of [
    'clock_vector',
    'ring',
    'patching',
    'pc',
    'patched',
    'ticks',
    'recover',
    'recover_sp',
    'escape',
  ])
    place(`kernel.${name}`, 8);
  for (const name of ['count', 'vector', 'error', 'ip', 'cs', 'flags', 'address', 'frame'])
    place(`trap.${name}`, 8);
  place('answers', ANSWERS_MAX * 8);
  place('answers.given', ANSWERS_MAX);
  place('kernel.trap_table', KERNEL_VECTORS * 8);
  place('kernel.tss', 104, 128);
  place('kernel.scratch', 256, 64);
  place('kernel.idt', PAGE, PAGE);
  // 32 bits have no top of their own: the PDPT is it.
  if (code.bits === 64) place('table.top', PAGE, PAGE);
  else place('table.top', 0, PAGE);
  for (const table of ['pdpt', 'pd0', 'pd3']) place(`table.${table}`, PAGE, PAGE);
  place('table.l1', PAGE, PAGE);
  place('table.l1_next', PAGE, PAGE);
  for (const page of ['window', 'a', 'b', 'c', 'd', 'e']) place(`page.${page}`, PAGE, PAGE);
  for (const { memory = [] } of bindings)
    for (const { label, bytes, align } of memory) place(label, bytes, align);
  place('kernel.stack', 4 * PAGE, PAGE);
  place('kernel.stack_top', PAGE, PAGE);
  code.place('kernel.image_start', IMAGE_AT);
  place('kernel.image_end', 0, PAGE);
  return next;
}
