// What an operation is: one row of the paravirt_ops catalogue, in the words of four versions of Linux.

/**
 * The vocabularies, oldest first. 2.6.21 is the first kernel released during the debate, 2.6.22 the one with everything that
 * was debated ("about 90 calls"); 2.6.32 has all back ends of the time; 6.1 is what is left.
 */
export const LINUX_VERSIONS = ['2.6.21', '2.6.22', '2.6.32', '6.1'] as const;
export type LinuxVersion = (typeof LINUX_VERSIONS)[number];

/** The structures of function pointers, then what lies outside them; requests go from the hypervisor to the guest. */
export const GROUPS = [
  ...['init', 'time', 'cpu', 'irq', 'apic', 'mmu', 'lock'],
  ...['smp', 'machine', 'hook', 'request'],
] as const;
export type Group = 'init' | 'time' | 'cpu' | 'irq' | 'apic' | 'mmu' | 'lock' | OutsideGroup;
type OutsideGroup = 'smp' | 'machine' | 'hook' | 'request';

/** The classes that the debate of 2007 told apart; `outside` was never a member of the structure. */
export type DebateClass = 'set-up' | 'hardware' | 'page tables' | 'corner case' | 'outside';

/** What a number or pointer counts or points to. */
export type Unit =
  | ('gva' | 'gpa' | 'pfn' | 'bytes' | 'pages' | 'nanos' | 'seconds' | 'cycles' | 'kHz')
  | ('value' | 'flags' | 'index' | 'count' | 'bool' | 'errno' | 'text' | 'code' | 'mode')
  | ('selector' | 'descriptor' | 'gate' | 'table register' | 'registers' | 'TSS')
  | ('entry' | 'entry pointer' | 'page-table page' | 'page' | 'mm' | 'vma' | 'task' | 'range')
  | ('cpu' | 'cpus' | 'APIC id' | 'APIC register' | 'lock');

/** By what kind of thing an operation is done. `code` is kernel code over several of the others; `nothing` is a no-op. */
export const MECHANISMS = [
  ...(['instruction', 'memory', 'port', 'device', 'msr', 'cpuid', 'code', 'nothing'] as const),
  ...(['hypercall', 'rom', 'shared', 'event'] as const),
] as const;
export type Mechanism = (typeof MECHANISMS)[number];

/** Where Linux has the operation as a slot of paravirt_ops: in every vocabulary from `from` to `to`. */
export interface Slots {
  readonly from: LinuxVersion;
  readonly to: LinuxVersion;
  /** Names other than the member of the id. */
  readonly names?: Partial<Readonly<Record<LinuxVersion, string>>>;
  /** The configuration without which there is no such slot; kernels up to 2.6.32. */
  readonly needs?: 'x86-64' | 'pae' | 'highpte' | '3 levels' | '4 levels' | 'local apic';
  /** In 6.1 the slot exists without CONFIG_PARAVIRT_XXL too, that is, without Xen PV. */
  readonly withoutXxl?: true;
}

export interface Operation<Id extends string = string> {
  /** `group.member`, the member as 2.6.32 spells it, or else the newest vocabulary that has it. */
  readonly id: Id;
  readonly class: DebateClass;
  /** One sentence. */
  readonly does: string;
  /** Arguments in order, with their units. */
  readonly params?: Readonly<Record<string, Unit>>;
  readonly returns?: Unit;
  /** How it is done with no hypervisor beneath. */
  readonly native: { readonly by: Mechanism; readonly what: string; readonly ref?: string };
  /** The class of paravirt_lazy_mode under which a guest may batch it. */
  readonly lazy?: 'cpu' | 'mmu';
  readonly linux?: Slots;
  /** Where the operation is a hook outside the patchable set: the structure and its member. */
  readonly hooks?: Partial<Readonly<Record<LinuxVersion, string>>>;
  /** What took its place, for one that is gone. */
  readonly replacedBy?: string;
  /** For what Linux's headers do not define. */
  readonly ref?: string;
}

export function defineOp<const Id extends `${Group}.${string}`>(op: Operation<Id>): Operation<Id> {
  return op;
}

/** Headers with the structures, by version. */
const HEADERS: Readonly<Record<LinuxVersion, string>> = {
  '2.6.21': 'include/asm-i386/paravirt.h struct paravirt_ops (2.6.21)',
  '2.6.22': 'include/asm-i386/paravirt.h struct paravirt_ops (2.6.22)',
  '2.6.32': 'arch/x86/include/asm/paravirt_types.h (2.6.32)',
  '6.1': 'arch/x86/include/asm/paravirt_types.h (6.1)',
};
const HOOK_HEADERS: Readonly<Record<string, string>> = {
  paravirt_ops: 'arch/x86/include/asm/paravirt.h',
  smp_ops: 'arch/x86/include/asm/smp.h',
  machine_ops: 'arch/x86/include/asm/reboot.h',
  apic: 'arch/x86/include/asm/apic.h',
  x86_init: 'arch/x86/include/asm/x86_init.h',
  x86_cpuinit: 'arch/x86/include/asm/x86_init.h',
  x86_platform: 'arch/x86/include/asm/x86_init.h',
  static_call: 'arch/x86/include/asm/paravirt.h',
};

export const groupOf = (op: Operation): Group => op.id.slice(0, op.id.indexOf('.')) as Group;

/** The slot's name in one vocabulary, as C has it; null if it has none there. */
export function slotName(op: Operation, version: LinuxVersion): string | null {
  const { linux } = op;
  const at = LINUX_VERSIONS.indexOf(version);
  if (!linux || at < LINUX_VERSIONS.indexOf(linux.from) || at > LINUX_VERSIONS.indexOf(linux.to)) {
    return null;
  }
  const member = linux.names?.[version] ?? op.id.slice(op.id.indexOf('.') + 1);
  if (version === '2.6.32') return `pv_${groupOf(op)}_ops.${member}`;
  return version === '6.1' ? `pv_ops.${groupOf(op)}.${member}` : `paravirt_ops.${member}`;
}

/** Slot or hook. */
export function linuxName(op: Operation, version: LinuxVersion): string | null {
  return slotName(op, version) ?? op.hooks?.[version] ?? null;
}

/** Every document that says what the operation is, the operation's own first. */
export function referencesOf(op: Operation): string[] {
  const found = new Set<string>();
  if (op.ref) found.add(op.ref);
  for (const version of LINUX_VERSIONS) {
    if (slotName(op, version)) found.add(HEADERS[version]);
    const hook = op.hooks?.[version];
    const header = hook && HOOK_HEADERS[hook.split(/\W/, 1)[0]!];
    if (header) found.add(`${header} (${version})`);
  }
  if (op.native.ref) found.add(op.native.ref);
  return [...found];
}

/** `(root gpa) → value`. */
export function signatureOf({ params = {}, returns }: Operation): string {
  const list = Object.entries(params).map(([name, unit]) =>
    name === unit ? name : `${name} ${unit}`,
  );
  return `(${list.join(', ')})${returns === undefined ? '' : ` → ${returns}`}`;
}
