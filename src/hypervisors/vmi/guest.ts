// The guest side of VMI: the ROM found by a scan, every call's entry asked for, and operations that call them, as 2.6.32 does.

import { bug } from '../../base/errors.ts';
import { defineGuest, type GuestCode, type GuestOperation } from '../../ops/index.ts';
import { CLOCK_VECTOR, nativePc } from '../hw/native-guest.ts';
import {
  ROM_SIGNATURE,
  VMI_ALARM_WIRED_LVTT,
  VMI_API_REV,
  VMI_CYCLES_AVAILABLE,
  VMI_CYCLES_REAL,
  VMI_FLUSH_GLOBAL,
  VMI_FLUSH_TLB,
  VMI_LAZY_CPU_STATE,
  VMI_LAZY_MMU_UPDATES,
  VMI_PAGE_CURRENT_AS,
  VMI_SIGNATURE,
  vromHeader,
} from './abi.ts';
import { entryName, VMI_CALLS } from './call.ts';
import { CALLS_END, INIT_AT, RELOC_AT } from './rom/layout.ts';

const SCAN = { from: 0xc0000, to: 0xe0000, step: 2048 } as const;
/** Flags of page-table calls: the level, and on 32 bits with PAE what AllocatePage is told (vmi.md 6). */
const LEVEL = { pt: 1, pd: 2, pdp: 4 } as const;
const NEW_TABLE = { pt: 0x51, pd: 0x52 } as const;
/** VMI_CYCLES_STOLEN; the APIC's registers (SDM 3A table 11-1). */
const STOLEN = 2;
const [APIC_EOI, APIC_SPIV, APIC_LVTT] = [0xb0, 0xf0, 0x320];
const APIC_ENABLED = 0x1ff;
const BILLION = 1e9;
const CALL_BYTES = 5;

const entryOf = (name: string): string => {
  const call = VMI_CALLS.find((known) => known.name === name);
  return call ? `dword ptr [vmi.entries+${4 * call.number}]` : bug(`there is no VMI call ${name}`);
};
/** Of text, `{Name}` is a call of that entry. */
const spelled = (text: string): string =>
  text.replaceAll(/\{([A-Z]\w+)\}/g, (_, name: string) => `call ${entryOf(name)}`);
const op = (text: string, more: Partial<GuestOperation> = {}): GuestOperation => {
  const by = /\{([A-Z]\w+)\}/.exec(text)?.[1];
  const call = VMI_CALLS.find(({ name }) => name === by);
  return {
    emit: (code) => void code.text(spelled(text)),
    ...(call && { by: entryName(call) }),
    ...more,
  };
};

/** The entry is in EDX and ECX, its place in EAX; the flags lie on the stack. */
const SET = 'xchg ecx, eax; xchg edx, eax; {SetPxELong}; add esp, 4';
/** Flags of an entry in the current address space: its level and the address in EBX. */
const AT_ADDRESS = `push ebx; and dword ptr [esp], 0xfffff000; or dword ptr [esp], ${LEVEL.pt | VMI_PAGE_CURRENT_AS}`;
const ADDRESS_IN_EDX = `mov edx, ebx; and edx, 0xfffff000; or edx, ${LEVEL.pt | VMI_PAGE_CURRENT_AS}`;
const CLEAR = 'mov ecx, eax; xor eax, eax; xor edx, edx; {SetPxELong}; add esp, 4';
const MMU = { lazy: 'mmu' } as const;
const CPU = { lazy: 'cpu' } as const;
/** One of the three tables' entries: EAX table, EDX index, ECX the address of 8 bytes. */
const descriptor = (name: string) =>
  op(`push dword ptr [ecx+4]; mov ecx, [ecx]; {${name}}; add esp, 4`, CPU);
const allocate = (flags: number) =>
  op(`push 0; push 0; mov edx, ${flags}; xor ecx, ecx; {AllocatePage}; add esp, 8`);
const release = (flags: number) => op(`mov edx, ${flags}; {ReleasePage}`);
const lazyMode = (mode: number) => op(`mov eax, ${mode}; {SetLazyMode}`);
const writeApic = (register: number, value: number): string =>
  `mov eax, ${register}; mov edx, ${value}; {APICWrite}`;

export const vmiGuest = defineGuest({
  ...nativePc,
  id: 'vmi',
  bits: [32],
  traits: { ...nativePc.traits, patching: 'call' },
  detect,
  init,
  operations: {
    'cpu.read_cr0': op('{GetCR0}'),
    'cpu.write_cr0': op('{SetCR0}'),
    'cpu.clts': op('{CLTS}'),
    'cpu.read_cr4': op('{GetCR4}'),
    'cpu.write_cr4': op('{SetCR4}'),
    'cpu.get_debugreg': op('{GetDR}'),
    'cpu.set_debugreg': op('{SetDR}'),
    'cpu.load_tr_desc': op('mov eax, 0x80; {SetTR}'),
    'cpu.load_gdt': op('{SetGDT}'),
    'cpu.load_idt': op('{SetIDT}'),
    'cpu.store_gdt': op('{GetGDT}'),
    'cpu.store_idt': op('{GetIDT}'),
    'cpu.store_tr': op('{GetTR}'),
    'cpu.set_ldt': { emit: setLdt, by: 'VMI_SetLDT' },
    'cpu.load_tls': { emit: loadTls, clobbers: ['si'], by: 'VMI_WriteGDTEntry', ...CPU },
    'cpu.write_gdt_entry': descriptor('WriteGDTEntry'),
    'cpu.write_ldt_entry': descriptor('WriteLDTEntry'),
    'cpu.write_idt_entry': descriptor('WriteIDTEntry'),
    'cpu.load_sp0': op('mov [kernel.tss+4], eax; mov edx, eax; mov eax, 0x68; {UpdateKernelStack}'),
    'cpu.set_iopl_mask': op('{SetIOPLMask}'),
    'cpu.wbinvd': op('{WBINVD}'),
    'cpu.io_delay': op('{IODelay}'),
    'cpu.cpuid': op('{CPUID}'),
    'cpu.read_tsc': op('{RDTSC}'),
    'cpu.read_pmc': op('{RDPMC}'),
    'cpu.irq_enable_sysexit': op('{SYSEXIT}'),
    'cpu.iret': { emit: (code) => void code.text('jmp vmi.iret_site'), by: 'VMI_IRET' },
    'cpu.start_context_switch': lazyMode(VMI_LAZY_CPU_STATE),
    'cpu.end_context_switch': lazyMode(0),
    'irq.save_fl': op('{GetInterruptMask}'),
    'irq.restore_fl': op('{SetInterruptMask}'),
    'irq.irq_disable': op('{DisableInterrupts}'),
    'irq.irq_enable': op('{EnableInterrupts}'),
    'irq.safe_halt': op('{Halt}'),
    'mmu.read_cr2': op('{GetCR2}'),
    'mmu.write_cr2': op('{SetCR2}'),
    'mmu.read_cr3': op('{GetCR3}'),
    'mmu.write_cr3': op('{SetCR3}', CPU),
    'mmu.flush_tlb_user': op(`mov eax, ${VMI_FLUSH_TLB}; {FlushTLB}`),
    'mmu.flush_tlb_kernel': op(`mov eax, ${VMI_FLUSH_TLB | VMI_FLUSH_GLOBAL}; {FlushTLB}`),
    'mmu.flush_tlb_single': op('{InvalPage}'),
    'mmu.set_pte': op(`push ${LEVEL.pt}; ${SET}`, MMU),
    'mmu.set_pte_at': op(`${AT_ADDRESS}; ${SET}`, MMU),
    'mmu.set_pte_atomic': { emit: setAtomically, by: 'VMI_UpdatePxELong' },
    'mmu.pte_clear': op(`${AT_ADDRESS}; ${CLEAR}`, MMU),
    'mmu.set_pmd': op(`push ${LEVEL.pd}; ${SET}`, MMU),
    'mmu.pmd_clear': op(`push ${LEVEL.pd}; ${CLEAR}`, MMU),
    'mmu.set_pud': op(`push ${LEVEL.pdp}; ${SET}`, MMU),
    'mmu.pte_update': op(`${ADDRESS_IN_EDX}; {UpdatePxELong}`),
    'mmu.ptep_modify_prot_start': op(
      `push edi; push esi; mov edi, eax; xor esi, esi; xchg [edi], esi; push dword ptr [edi+4]; ${ADDRESS_IN_EDX}; {UpdatePxELong}; pop edx; mov eax, esi; pop esi; pop edi`,
    ),
    'mmu.ptep_modify_prot_commit': op(`${AT_ADDRESS}; ${SET}`, MMU),
    'mmu.alloc_pte': allocate(NEW_TABLE.pt),
    'mmu.alloc_pmd': allocate(NEW_TABLE.pd),
    'mmu.release_pte': release(NEW_TABLE.pt),
    'mmu.release_pmd': release(NEW_TABLE.pd),
    'mmu.pgd_free': release(NEW_TABLE.pd),
    'mmu.lazy_mode.enter': lazyMode(VMI_LAZY_MMU_UPDATES),
    'mmu.lazy_mode.leave': lazyMode(0),
    // A cycle is a nanosecond here; elsewhere it is what it is.
    'time.sched_clock': op(`mov eax, ${VMI_CYCLES_AVAILABLE}; {GetCycleCounter}`),
    'time.steal_clock': op(`mov eax, ${STOLEN}; {GetCycleCounter}`),
    'time.get_wallclock': op(`{GetWallclockTime}; mov ecx, ${BILLION}; div ecx`),
    'apic.read': op('{APICRead}'),
    'apic.write': op('{APICWrite}'),
    'apic.eoi_write': op(writeApic(APIC_EOI, 0)),
    'apic.setup_boot_clock': op(
      `${writeApic(APIC_SPIV, APIC_ENABLED)}; ${writeApic(APIC_LVTT, CLOCK_VECTOR)}`,
    ),
    'machine.power_off': op('{Shutdown}'),
    'machine.restart': op('mov eax, 1; {Reboot}'),
  },
  cannot: {},
  // An alarm of real time, once, by the local APIC's timer entry.
  clock: {
    vector: CLOCK_VECTOR,
    arm: (code) =>
      void code.text(
        spelled(
          `push ebx; mov ebx, eax; mov eax, ${VMI_CYCLES_REAL}; {GetCycleCounter}; add eax, ebx; adc edx, 0; pop ebx; mov ecx, edx; mov edx, eax; push 0; push 0; mov eax, ${VMI_ALARM_WIRED_LVTT}; {SetAlarm}; add esp, 8`,
        ),
      ),
    acknowledge: (code) => void code.text(spelled(writeApic(APIC_EOI, 0))),
  },
  nullCall: op('{IODelay}'),
  memory: [
    { label: 'vmi.rom', bytes: 4, align: 4 },
    { label: 'vmi.entries', bytes: 4 * CALLS_END, align: 4 },
  ],
  // The site of IRET, as the kernel's is: a direct call, whose address a fault is reported at.
  beside: (code) => void code.text('vmi.iret_site:').bytes(0xe8, 0, 0, 0, 0),
});

/** check_vmi_rom of 2.6.32, without what it only prints. */
function detect(code: GuestCode): void {
  const [next, look, no, done] = ['next', 'look', 'no', 'done'].map((stem) => code.fresh(stem));
  const at = (field: Parameters<typeof vromHeader.offsetOf>[0]) =>
    `[esi+${vromHeader.offsetOf(field)}]`;
  code.text(`mov esi, ${SCAN.from}; jmp ${look}; ${next}:; add esi, ${SCAN.step}`);
  code.text(`cmp esi, ${SCAN.to}; jae ${no}; ${look}:`);
  code.text(`cmp word ptr ${at('rom_signature')}, ${ROM_SIGNATURE}; jne ${next}`);
  code.text(`cmp dword ptr ${at('vrom_signature')}, ${VMI_SIGNATURE}; jne ${next}`);
  code.text(`cmp byte ptr ${at('api_version_maj')}, ${VMI_API_REV.major}; jne ${next}`);
  code.text(`cmp word ptr ${at('pci_header_offs')}, 0; je ${next}`);
  code.text(`mov [vmi.rom], esi; mov eax, 1; jmp ${done}; ${no}:; xor eax, eax; ${done}:`);
}

/** Init, then every entry; IRET's goes into its site. */
function init(code: GuestCode): void {
  const next = code.fresh('entry');
  code.text(`mov ebx, [vmi.rom]; lea ecx, [ebx+${INIT_AT}]; call ecx`);
  code.text('test eax, eax; jne kernel.died; xor esi, esi');
  code.text(`${next}:; mov eax, esi; lea ecx, [ebx+${RELOC_AT}]; call ecx`);
  code.text('mov [vmi.entries+esi*4], eax; inc esi');
  code.text(`cmp esi, ${CALLS_END}; jb ${next}`);
  const iret = VMI_CALLS.find(({ name }) => name === 'IRET')!.number;
  code.text(`mov eax, [vmi.entries+${4 * iret}]; sub eax, vmi.iret_site; sub eax, ${CALL_BYTES}`);
  code.text('mov [vmi.iret_site+1], eax');
}

/** vmi_set_ldt: entry 17 of the GDT becomes the LDT's, and is loaded; none if there are no entries. */
function setLdt(code: GuestCode): void {
  const [none, load] = [code.fresh('ldt'), code.fresh('ldt')];
  code.text(`test edx, edx; je ${none}; shl edx, 3; dec edx; mov ecx, eax; shl ecx, 16`);
  code.text('or ecx, edx; mov edx, eax; shr edx, 16; and edx, 0xff; and eax, 0xff000000');
  code.text('or eax, edx; or eax, 0x8200; push eax; mov eax, kernel.gdt; mov edx, 17');
  code.text(spelled(`{WriteGDTEntry}; add esp, 4; mov eax, 0x88; jmp ${load}; ${none}:`));
  code.text(spelled(`xor eax, eax; ${load}:; {SetLDT}`));
}

/** vmi_load_tls: entries 6 to 8. */
function loadTls(code: GuestCode): void {
  code.text('mov esi, eax');
  for (let n = 0; n < 3; n++) {
    code.text(`push dword ptr [esi+${8 * n + 4}]; mov ecx, [esi+${8 * n}]; mov edx, ${6 + n}`);
    code.text(spelled('mov eax, kernel.gdt; {WriteGDTEntry}; add esp, 4'));
  }
}

/** set_64bit, and word of it. */
function setAtomically(code: GuestCode): void {
  const again = code.fresh('again');
  code.text('push ebx; push esi; mov esi, eax; mov ebx, edx; mov eax, [esi]; mov edx, [esi+4]');
  code.text(`${again}:; lock cmpxchg8b [esi]; jne ${again}; mov eax, esi; pop esi; pop ebx`);
  code.text(spelled(`mov edx, ${LEVEL.pt}; {UpdatePxELong}`));
}
