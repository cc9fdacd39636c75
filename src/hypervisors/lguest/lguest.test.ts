// What of lguest is there: the data area as the header lays it out, and first page tables that a processor can walk.

import { expect, test } from 'vitest';
import { Assembler } from '../../cpu/asm.ts';
import { CR0_PG, CR4_PAE } from '../../cpu/control-bits.ts';
import { enterFlat32 } from '../boot/registers.ts';
import { TEST_RAM, testPlatform } from '../testing/platform.ts';
import { hcallArgs, LHCALL, LHCALL_RING_SIZE, lguestData } from './abi.ts';
import { PAGE_OFFSET, writeFirstTables } from './first-tables.ts';

/** Written as 1, 2, 3 ... by field, so that each place of the area tells who lies there. */
test('lguest_data has its fields where offsetof of the 2.6.32 header has them', () => {
  const view = new DataView(new ArrayBuffer(lguestData.size));
  lguestData.write(view, 0, { irq_enabled: 1, blocked_interrupts: 2, cr2: 3, irq_pending: 4 });
  lguestData.write(view, 0, { reserve_mem: 5, tsc_khz: 6, pgdir: 7, syscall_vec: 0x80 });
  const words = [0x000, 0x004, 0x008, 0x014, 0x558, 0x55c, 0x560, 0x570];
  expect(words.map((at) => view.getUint32(at, true))).toEqual([1, 2, 3, 4, 5, 6, 7, 0x80]);
  expect(lguestData.size).toBe(0x574);
  expect(0x58 + LHCALL_RING_SIZE * hcallArgs.size).toBe(0x558);
});

test('there are seventeen calls, and no two have one number', () => {
  expect(new Set(Object.values(LHCALL)).size).toBe(17);
});

test.each([false, true])(
  'code on the first tables finds RAM at 0 and at PAGE_OFFSET, PAE %s',
  (pae) => {
    const { cpu, ram } = testPlatform();
    const tables = writeFirstTables(ram, { ramBytes: TEST_RAM, end: TEST_RAM - 0x10000, pae });
    expect(tables.bottom).toBeLessThan(tables.top);
    const last = TEST_RAM - 4;
    ram.setU32(last, 0x12345678);
    const code = new Assembler(32, 0x100000)
      .text(`
      mov eax, [${last}]
      mov ebx, [${PAGE_OFFSET + last}]
      mov ecx, ${PAGE_OFFSET}
      mov edx, [ecx+0x100000]
      mov dword ptr [ecx+0x200000], 0x600d
      mov esi, [0x200000]
      mov edi, [${TEST_RAM}]
      hlt`)
      .finish();
    ram.write(0x100000, code);
    enterFlat32(cpu, ram, 0x100000);
    cpu.state.setVa('cr3', tables.top);
    if (pae) cpu.state.set('cr4', CR4_PAE);
    cpu.state.set('cr0', (cpu.state.get('cr0') | CR0_PG) >>> 0);
    cpu.stateChanged();
    cpu.mmu.flushAll();
    // The last load is beyond RAM, which nothing maps: with no IDT the page fault ends the run.
    expect(cpu.run(100)).toMatchObject({
      kind: 'shutdown',
      why: expect.stringContaining('vector 14'),
    });
    const [eax, , edx, ebx, , , esi] = [0, 1, 2, 3, 4, 5, 6].map((r) => cpu.state.gpr32(r));
    expect([eax, ebx, esi]).toEqual([0x12345678, 0x12345678, 0x600d]);
    expect(edx).toBe(ram.u32(0x100000));
  },
);
