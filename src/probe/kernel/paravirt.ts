// paravirt_ops as a guest has it: a table of members, back ends that fill it, and call sites rewritten once it is known whose.

import {
  GUEST_OPERATIONS,
  type GuestBinding,
  type GuestOperation,
  KERNEL_VECTORS,
  REFUSALS_MAX,
} from '../../ops/index.ts';
import { Emitter, slotOf } from './emitter.ts';

/** Members that are no operations of the catalogue. */
const OWN_MEMBERS = [
  ...['console', 'null_call', 'bad_call', 'arm', 'acknowledge', 'init'],
  ...Array.from({ length: REFUSALS_MAX }, (_, n) => `refusal_${n}`),
];
export const MEMBERS: readonly string[] = [...OWN_MEMBERS, ...GUEST_OPERATIONS];
/** Bytes of a call through the table, and of a patch. */
const SITE_BYTES = 6;
const NOP = 0x90;
const RECORD = 8;

/** A back end for each binding; the first of them is whole, and what others leave is its. */
export function emitParavirt(code: Emitter, bindings: readonly GuestBinding[]): void {
  const functions = new Map<string, string>();
  for (const binding of bindings) {
    for (const [member, operation] of membersOf(binding)) {
      if ((operation.only ?? code.bits) !== code.bits) continue;
      const label = `${labelOf(binding.id)}.fn.${member}`;
      functions.set(label, label);
      emitFunction(code, label, operation, member);
    }
  }
  code.text('kernel.missing:; jmp kernel.died');
  code.align(8);
  for (const binding of bindings) {
    const [first] = bindings;
    code.text(`${labelOf(binding.id)}.table:`);
    for (const member of MEMBERS) {
      const own = functions.get(`${labelOf(binding.id)}.fn.${member}`);
      code.dd(own ?? functions.get(`${labelOf(first!.id)}.fn.${member}`) ?? 'kernel.missing');
    }
    emitTemplates(code, binding, first!);
  }
  const list = (suffix: string) => bindings.map(({ id }) => `${labelOf(id)}.${suffix}`);
  code.text('kernel.tables:').dd(...list('table'));
  code.text('kernel.templates:').dd(...list('templates'));
  code.text('kernel.facts:');
  for (const binding of bindings)
    code.dd(
      binding.clock?.vector ?? -1,
      binding.traits.kernelRing,
      PATCHING.indexOf(binding.traits.patching),
      binding.traits.pc ? 1 : 0,
    );
}

const PATCHING = ['none', 'call', 'inline'] as const;
export const labelOf = (id: string): string => id.replaceAll('-', '_');

function* membersOf(binding: GuestBinding): Iterable<[string, GuestOperation]> {
  yield ['console', binding.console];
  yield ['null_call', binding.nullCall];
  if (binding.badCall) yield ['bad_call', binding.badCall];
  for (const [n, refusal] of (binding.refusals ?? []).entries()) yield [`refusal_${n}`, refusal];
  const { clock } = binding;
  const clobbers = clock?.clobbers ?? [];
  if (clock) yield ['arm', { emit: (code) => clock.arm(code), clobbers }];
  if (clock) yield ['acknowledge', { emit: (code) => clock.acknowledge(code), clobbers }];
  yield ['init', { emit: (code) => binding.init?.(code) }];
  for (const id of GUEST_OPERATIONS) {
    const operation = binding.operations[id];
    if (operation) yield [id, operation];
  }
}

function emitFunction(
  code: Emitter,
  label: string,
  operation: GuestOperation,
  member: string,
): void {
  const results = member === 'cpu.cpuid' ? ['bx'] : [];
  const kept = (operation.clobbers ?? []).filter((name) => !results.includes(name));
  code.text(`${label}:`);
  for (const name of kept) code.text(`push {${name}}`);
  operation.emit(code);
  for (const name of kept.toReversed()) code.text(`pop {${name}}`);
  code.text('ret');
}

/** For each operation the code that fits into a call site and runs anywhere: its length and its bytes, or 0xff. */
function emitTemplates(code: Emitter, binding: GuestBinding, native: GuestBinding): void {
  code.text(`${labelOf(binding.id)}.templates:`);
  for (const id of GUEST_OPERATIONS) {
    const operation = binding.operations[id] ?? native.operations[id];
    const there = operation && (operation.only ?? code.bits) === code.bits;
    const template = there ? templateOf(operation, code.bits) : null;
    const bytes = new Uint8Array(RECORD).fill(NOP);
    bytes[0] = template ? template.length : 0xff;
    if (template) bytes.set(template, 1);
    code.bytes(bytes);
  }
}

/** Null: too long, loses registers that the caller keeps, or means something else in another place. */
function templateOf(operation: GuestOperation, bits: 32 | 64): Uint8Array | null {
  if (operation.clobbers && operation.clobbers.length > 0) return null;
  const [here, there] = [0x1000, 0x2345].map((origin) => {
    const alone = new Emitter(bits, origin);
    operation.emit(alone);
    const movable = alone.sites.length === 0 && alone.catches.length === 0;
    return movable && !alone.hasUnbound() ? alone.finish() : null;
  });
  if (!here || !there || here.length > SITE_BYTES) return null;
  return here.every((byte, n) => byte === there[n]) ? here : null;
}

/** Text of `kernel.choose`: whose guest we are, where it has not been told by the entry. `kernel.binding` has the answer. */
export function emitChoice(code: Emitter, bindings: readonly GuestBinding[]): void {
  code.text('kernel.choose:; cmp dword ptr [kernel.boot_way], 0; je .chosen');
  for (const [n, binding] of bindings.entries()) {
    if (!binding.detect || !binding.bits.includes(code.bits)) continue;
    const next = code.fresh('detect');
    binding.detect(code);
    code.text(
      `test eax, eax; je ${next}; mov dword ptr [kernel.binding], ${n}; jmp .chosen; ${next}:`,
    );
  }
  code.text('.chosen:; mov edx, [kernel.binding]; mov eax, [kernel.tables+{dx}*4]; mov {si}, {ax}');
  code.text(`xor ecx, ecx; .copy:; mov eax, [{si}+{cx}*4]; mov [kernel.ops+{cx}*{W}], {ax}`);
  code.text(`inc ecx; cmp ecx, ${MEMBERS.length}; jb .copy`);
  code.text('shl edx, 4; mov eax, [kernel.facts+{dx}]; mov [kernel.clock_vector], eax');
  code.text('mov eax, [kernel.facts+{dx}+4]; mov [kernel.ring], eax');
  code.text('mov eax, [kernel.facts+{dx}+8]; mov [kernel.patching], eax');
  code.text('mov eax, [kernel.facts+{dx}+12]; mov [kernel.pc], eax; shr edx, 2');
  code.text('mov eax, [kernel.trap_sources+{dx}]; mov {si}, {ax}; xor ecx, ecx');
  code.text('.copy_trap:; mov eax, [{si}+{cx}*4]; mov [kernel.trap_table+{cx}*{W}], {ax}');
  code.text(`inc ecx; cmp ecx, ${KERNEL_VECTORS}; jb .copy_trap; ret`);
}

/** Text of `kernel.patch`: every call site becomes the operation's own code, or a direct call of it. */
export function emitPatching(code: Emitter): void {
  code.text(
    'kernel.patch:; cmp dword ptr [kernel.patching], 0; je .patched; cld; mov {bx}, kernel.sites',
  );
  code.text('.patch_site:; mov eax, [{bx}]; test eax, eax; je .patched; mov {di}, {ax}');
  code.text('cmp dword ptr [kernel.patching], 2; jne .patch_call; mov edx, [kernel.binding]');
  code.text('mov edx, [kernel.templates+{dx}*4]; mov ecx, [{bx}+4]; lea {si}, [{dx}+{cx}*8]');
  code.text('mov al, [{si}]; cmp al, 0xff; je .patch_call; inc {si}');
  code.text(`mov ecx, ${SITE_BYTES}; rep movsb; jmp .patch_next`);
  code.text(
    `.patch_call:; mov ecx, [{bx}+4]; add ecx, ${OWN_MEMBERS.length}; mov {ax}, [kernel.ops+{cx}*{W}]`,
  );
  code.text('sub eax, edi; sub eax, 5; mov byte ptr [{di}], 0xe8; mov [{di}+1], eax');
  code.text(
    'mov byte ptr [{di}+5], 0x90; .patch_next:; add {bx}, 8; inc dword ptr [kernel.patched]; jmp .patch_site; .patched:; ret',
  );
}

/** Behind all code: where the call sites are, and the table itself. */
export function emitSites(code: Emitter): void {
  code.align(8).text('kernel.sites:');
  for (const { id, at } of code.sites) code.dd(at.name, GUEST_OPERATIONS.indexOf(id));
  code.dd(0, 0).text('kernel.catches:');
  for (const { at, to } of code.catches) code.dd(at.name, to.name);
  code.dd(0, 0).align(8).text('kernel.ops:');
  for (const member of MEMBERS) code.text(`${slotOf(member)}:`).dw(0);
}
