// The interpreter against the reference: every form of the table, any budget, code that changes under its feet.

import { describe, expect, it } from 'vitest';
import { Assembler } from '../asm.ts';
import { type Cpu, createCpu, type EngineName } from '../core.ts';
import { instructions } from '../table.ts';
import { recordingBorder } from '../testing/border.ts';
import { type Case, forEveryForm } from '../testing/cases.ts';
import { Differential } from '../testing/differential.ts';
import { referenceEngine } from '../testing/engines.ts';
import { engineOf } from '../testing/machine.ts';
import { Random } from '../testing/random.ts';
import { enterSetup, pristineRam, RAM_BYTES, SETUPS, WORLD } from '../testing/world.ts';
import { Interpreter } from './engine.ts';

const CODE = WORLD.code.at;
const DATA = WORLD.data.at;
const MMIO = WORLD.mmio.at;
/** Page table of the test world's first megabyte, one entry of 8 bytes a page. */
const PAGE_TABLE = 0x4000;
const PAGE = 4096;
const pristine = pristineRam();

describe('every form of the table', () => {
  const differential = new Differential(
    referenceEngine,
    engineOf('interpreter', (parts) => new Interpreter(parts)),
  );
  it.each(SETUPS)('does in %s what the reference does', (setup) => {
    const differences: string[] = [];
    let cases = 0;
    const compare = (c: Case) => {
      cases++;
      const found = differential.compare(c);
      if (found !== null) differences.push(found);
    };
    forEveryForm(instructions, { seed: 20_000, perForm: 1, setups: [setup] }, compare);
    expect(differences.slice(0, 5)).toEqual([]);
    expect(cases).toBeGreaterThan(700);
  });
});

/** A CPU in 64-bit code at CODE (32-bit in `protected`), whose border notes the retired count of every request. */
function cpuWith(
  engine: EngineName,
  text: string,
  at: number = CODE,
  setup: 'long' | 'protected' = 'long',
): { cpu: Cpu; log: string[] } {
  const border = recordingBorder();
  const cpu = createCpu({ ramBytes: RAM_BYTES, border, engine });
  const { mmioRead, mmioWrite } = border;
  border.mmioRead = (...args) => {
    border.log.push(`after ${cpu.retired()}:`);
    mmioRead(...args);
  };
  border.mmioWrite = (...args) => {
    border.log.push(`after ${cpu.retired()}:`);
    mmioWrite(...args);
  };
  begin(cpu, text, at, setup);
  return { cpu, log: border.log };
}

/** The world as it is at the start, and the text as its code; also on a CPU that has run before. */
function begin(
  cpu: Cpu,
  text: string,
  at: number = CODE,
  setup: 'long' | 'protected' = 'long',
): void {
  cpu.views.u8.set(pristine, cpu.layout.ramBase);
  const code = new Assembler(setup === 'long' ? 64 : 32, at).text(text).finish();
  cpu.views.u8.set(code, cpu.layout.ramBase + at);
  for (let gpa = 0; gpa < RAM_BYTES; gpa += PAGE) cpu.ramWritten(gpa, PAGE);
  enterSetup(cpu.state, setup);
  cpu.mmu.flushAll();
  cpu.stateChanged();
  cpu.state.set64('rip', BigInt(at));
}

const REGISTERS = Array.from({ length: 16 }, (_, n) => n);

/** All that a guest can see. */
function pictureOf(cpu: Cpu): object {
  const { ramBase } = cpu.layout;
  let sum = 0;
  for (let at = ramBase >> 2; at < (ramBase + RAM_BYTES) >> 2; at++)
    sum = (Math.imul(sum, 31) + (cpu.views.u32[at] as number)) | 0;
  return {
    rip: cpu.state.get64('rip'),
    registers: REGISTERS.map((n) => cpu.state.gpr(n)),
    retired: cpu.retired(),
    ram: sum,
  };
}

function runIn(
  engine: EngineName,
  text: string,
  budget: number,
  at: number = CODE,
  setup: 'long' | 'protected' = 'long',
) {
  const { cpu, log } = cpuWith(engine, text, at, setup);
  const exit = cpu.run(budget);
  return { exit: exit.kind, picture: pictureOf(cpu), log };
}

/** Runs on both engines; gives what the interpreter did. */
function agreeing(
  text: string,
  budget: number,
  at: number = CODE,
  setup: 'long' | 'protected' = 'long',
) {
  const result = runIn('interpreter', text, budget, at, setup);
  expect(result).toEqual(runIn('reference', text, budget, at, setup));
  return result;
}

/** Loops, calls, string instructions and stores: blocks of all kinds. */
const MIXED = `
  mov ecx, 40
  round:
  push rcx
  mov esi, ${DATA}
  mov edi, ${DATA + 0x1f00}
  rep movsb
  pop rcx
  call sub
  inc dword ptr [${DATA + 0x3000}]
  add rbx, rcx
  adc rdx, 3
  loop round
  done:
  jmp done
  sub:
  imul rax, rbx, 17
  xor rax, rcx
  and eax, 0x8d5
  push rax
  popfq
  setc r8b
  ret`;

describe('budgets', () => {
  it('gives the same state in one go and in chunks of any size', () => {
    const whole = cpuWith('interpreter', MIXED).cpu;
    expect(whole.run(1500).kind).toBe('budget');
    for (const seed of [1, 2, 3, 4]) {
      const random = new Random(seed);
      const { cpu } = cpuWith('interpreter', MIXED);
      while (cpu.retired() < 1500) {
        const left = 1500 - cpu.retired();
        cpu.run(Math.min(left, 1 + random.below(random.chance(50) ? 4 : 60)));
      }
      expect(pictureOf(cpu)).toEqual(pictureOf(whole));
    }
  });

  it('stops after exactly as many instructions as were granted, as the reference does', () => {
    const { cpu } = cpuWith('interpreter', MIXED);
    const { cpu: reference } = cpuWith('reference', MIXED);
    for (let budget = 1; budget < 140; budget += 3) {
      const pictures = [cpu, reference].map((c) => {
        begin(c, MIXED);
        const before = c.retired();
        c.run(budget);
        return { ...pictureOf(c), retired: c.retired() - before };
      });
      expect(pictures[0]).toEqual(pictures[1]);
      expect(pictures[0]).toMatchObject({ retired: budget });
    }
  });
});

describe('string instructions, many iterations at once', () => {
  const random = new Random(7);
  const one = (_: unknown) => {
    const size = random.pick(['b', 'w', 'd', 'q']);
    const moves = random.chance(50);
    const from = DATA + random.below(0x1800);
    // Overlaps now and then, either way.
    const to = random.chance(30) ? from + random.below(64) - 32 : DATA + random.below(0x2800);
    const value = random.pick([0, 0x55555555, 0x12345678, 0x100]);
    const budget = random.chance(60) ? 400 : 20 + random.below(200);
    return [moves ? 'movs' : 'stos', size, 1 + random.below(300), from, to, value, budget] as const;
  };
  it.each(Array.from({ length: 16 }, one))(
    'rep %s%s, %i times, from %i to %i, leaves what one at a time leaves',
    (fn, size, count, from, to, value, budget) => {
      const text = `
        mov ebx, ${value}
        mov rax, rbx
        shl rax, 32
        or rax, rbx
        mov esi, ${from}
        mov edi, ${to}
        mov byte ptr [rsi], 1
        mov byte ptr [rsi + 3000], 2
        mov byte ptr [rdi], 3
        mov byte ptr [rdi + 3000], 4
        mov ecx, ${count}
        rep ${fn}${size}
        done:
        jmp done`;
      agreeing(text, budget);
    },
  );

  it.each(['movsb', 'movsw', 'movsd', 'stosb', 'stosw', 'stosd', 'es movsb', 'lodsb'])(
    'in 32-bit code, too: rep %s',
    (instruction) => {
      for (const [from, to] of [
        [DATA, DATA + 0x1f80],
        [DATA + 0xfc0, DATA + 0x3004],
        [DATA + 8, DATA + 9],
      ]) {
        const text = `
          mov eax, 0x55555555
          mov esi, ${from}
          mov edi, ${to}
          mov byte ptr [esi], 1
          mov byte ptr [edi], 2
          mov byte ptr [esi + 200], 3
          mov byte ptr [edi + 200], 4
          mov ecx, 150
          rep ${instruction}
          mov ecx, 1
          rep ${instruction}
          mov ecx, 0
          rep ${instruction}
          done:
          jmp done`;
        agreeing(text, 140, CODE, 'protected');
        agreeing(text, 400, CODE, 'protected');
      }
    },
  );
});

describe('lazy flags', () => {
  it.each(['', 'jmp next\nnext:'])(
    'inc and dec of memory keep the carry of what came before (%j between)',
    (between) => {
      const { picture } = agreeing(
        `mov byte ptr [${DATA}], 1
       mov dword ptr [${DATA + 8}], 101
       mov edx, 0x0202
       mov eax, 5
       add eax, 1
       ${between}
       inc byte ptr [${DATA}]
       setc dl
       sub eax, 1
       ${between.replaceAll('next', 'after')}
       dec qword ptr [${DATA + 8}]
       setc dh
       hlt`,
        30,
      );
      expect((picture as { registers: bigint[] }).registers[2]).toBe(0n);
    },
  );
});

describe('code that is written', () => {
  it('runs the new bytes of an instruction later in the same block', () => {
    const result = agreeing(
      `mov byte ptr [patched+1], 7
       nop
       patched:
       mov al, 1
       hlt`,
      10,
    );
    expect(result.exit).toBe('halt');
    expect(Number((result.picture as { registers: bigint[] }).registers[0]) & 0xff).toBe(7);
  });

  it('runs the new bytes of another block of the page, which has run before', () => {
    const result = agreeing(
      `mov ecx, 2
       again:
       jmp other
       back:
       mov byte ptr [other+1], 9
       loop again
       hlt
       other:
       mov bl, 1
       jmp back`,
      40,
    );
    expect(result.exit).toBe('halt');
    expect(Number((result.picture as { registers: bigint[] }).registers[3]) & 0xff).toBe(9);
  });

  it('runs the new bytes of an instruction in its second page', () => {
    // mov ebx, imm32 begins two bytes before the page's end: its upper bytes lie in the next page.
    const pageEnd = CODE + PAGE;
    const text = `
      mov ecx, 2
      again:
      jmp crossing
      back:
      mov byte ptr [${pageEnd + 1}], 0x55
      loop again
      hlt
      ${'nop\n'.repeat(20)}
      crossing:
      mov ebx, 0x11223344
      jmp back`;
    const head = new Assembler(64, CODE).text(`${text.split('crossing:')[0]}crossing:`);
    const at = pageEnd - 2 - (Number(head.here) - CODE);
    const result = agreeing(text, 60, at);
    expect(result.exit).toBe('halt');
    expect((result.picture as { registers: bigint[] }).registers[3]).toBe(0x11553344n);
  });

  it('sees a store through the rest of the block that makes it, one instruction at a time', () => {
    agreeing(
      `mov edi, target
       mov al, 0x90
       mov ecx, 6
       rep stosb
       target:
       mov ebx, 1
       nop
       hlt`,
      30,
    );
  });
});

describe('32-bit code whose segment base wraps at 4 GiB', () => {
  // GNU Mach has its kernel at 3 GiB and its segments at 1 GiB, so that linear addresses are physical ones.
  const BASE = 0x4000_0000;
  const run = (engine: EngineName, text: string, at: number) => {
    const { cpu, log } = cpuWith(engine, '', at);
    cpu.views.u8.set(new Assembler(32, at).text(text).finish(), cpu.layout.ramBase + at);
    cpu.ramWritten(at, 64);
    enterSetup(cpu.state, 'protected');
    cpu.state.setSegBase(1, BASE);
    cpu.mmu.flushAll();
    cpu.stateChanged();
    cpu.state.set64('rip', BigInt((at - BASE) >>> 0));
    return { exit: cpu.run(20).kind, picture: pictureOf(cpu), log };
  };

  it.each([
    ['crosses into the next page', 'mov ebx, 0x11223344; hlt', CODE + PAGE - 2],
    [
      'acts on a device in the middle of a block',
      `mov ecx, 1; mov eax, [${MMIO}]; inc ecx; mov [${MMIO}], ecx; hlt`,
      CODE,
    ],
  ])('%s', (_what, text, at) => {
    const result = run('interpreter', text, at);
    expect(result.exit).toBe('halt');
    expect(result).toEqual(run('reference', text, at));
  });
});

describe('code above 2 GiB', () => {
  const HIGH = 0x8000_0000;
  // The store crosses into the next page, and changes an instruction of it each time round.
  const TEXT = `
    mov ecx, 500
    again:
    add ebx, ecx
    ${'nop\n'.repeat(10)}
    mov dword ptr [changed + 1], ecx
    changed:
    mov edx, 0x11223344
    add esi, edx
    loop again
    hlt`;
  const crossing = `${TEXT.split('mov dword')[0]}`;

  it.each(['interpreter', 'jit'] as const)('runs on the %s, and is seen to change', (engine) => {
    const at = HIGH + PAGE - 3 - (Number(new Assembler(32, HIGH).text(crossing).here) - HIGH);
    const cpu = createCpu({ ramBytes: HIGH + 16 * PAGE, border: recordingBorder(), engine });
    cpu.views.u8.set(pristine, cpu.layout.ramBase);
    cpu.views.u8.set(new Assembler(32, at).text(TEXT).finish(), cpu.layout.ramBase + at);
    enterSetup(cpu.state, 'protected');
    cpu.state.set('cr0', 0x11);
    cpu.mmu.flushAll();
    cpu.stateChanged();
    cpu.state.set64('rip', BigInt(at));
    expect(cpu.run(100_000).kind).toBe('halt');
    // 500 + 499 + .. + 1
    expect([cpu.state.gpr32(3), cpu.state.gpr32(6)]).toEqual([125_250, 125_250]);
  });
});

describe('mappings that change', () => {
  it('fetches a crossing instruction from the page that is mapped second now', () => {
    // The crossing instruction runs twice; between, the second page is remapped to a copy with another immediate.
    const page2 = CODE + PAGE;
    const copy = DATA + 4 * PAGE;
    const run = (engine: EngineName) => {
      const { cpu } = cpuWith(engine, 'mov ebx, 0x11223344', page2 - 2);
      const { u8 } = cpu.views;
      const { ramBase } = cpu.layout;
      u8.copyWithin(ramBase + copy, ramBase + page2, ramBase + page2 + PAGE);
      u8[ramBase + copy + 1] = 0x99;
      // Start: remaps page2, flushes it, runs the crossing instruction again, halts when rcx is 0.
      const start = new Assembler(64, CODE)
        .text(
          `start:
           dec ecx
           jz over
           mov eax, dword ptr [${PAGE_TABLE + (copy >> 12) * 8}]
           mov dword ptr [${PAGE_TABLE + (page2 >> 12) * 8}], eax
           invlpg [${page2}]
           jmp ${page2 - 2}
           over:
           hlt`,
        )
        .finish();
      u8.set(start, ramBase + CODE);
      const jump = new Assembler(64, page2 + 3).text(`jmp ${CODE}`).finish();
      for (const at of [page2 + 3, copy + 3]) u8.set(jump, ramBase + at);
      cpu.state.setGpr(1, 2n);
      const exit = cpu.run(60);
      return { exit: exit.kind, picture: pictureOf(cpu) };
    };
    const result = run('interpreter');
    expect(result).toEqual(run('reference'));
    expect(result.exit).toBe('halt');
    expect((result.picture as { registers: bigint[] }).registers[3]).toBe(0x11993344n);
  });
});

describe('the border', () => {
  const text = `
    mov esi, ${MMIO}
    inc eax
    mov ebx, dword ptr [rsi]
    inc eax
    add dword ptr [rsi+8], eax
    mov qword ptr [rsi+16], rbx
    inc eax
    push qword ptr [rsi+24]
    hlt`;

  it('sees MMIO from the middle of a block once, in order, with the exact retired count', () => {
    const { log, exit } = agreeing(text, 20);
    expect(exit).toBe('halt');
    expect(log.filter((line) => line.startsWith('after'))).toEqual(
      ['after 2:', 'after 4:', 'after 4:', 'after 5:', 'after 7:'], // a read-modify-write asks twice
    );
  });

  it('sees the same when the code has run before and its accesses stand alone', () => {
    const twice = `${text.replace('hlt', `cmp eax, 6\njb ${CODE}\nhlt`)}`;
    const { log } = agreeing(twice, 60);
    expect(log.filter((line) => line.startsWith('after')).length).toBe(10);
  });
});
