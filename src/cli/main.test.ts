// The command line as a process: status, sentence and hint for what cannot be.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLI_LOOP, printing, tinyElf, UD2 } from '../lab/testing/tiny-kernel.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvops-cli-'));
  // The bundle, as users have it: it starts many times as fast as the sources do.
  const build = [
    'node_modules/vite/bin/vite.js',
    'build',
    '--logLevel',
    'warn',
    '--outDir',
    folder,
  ];
  const { status, stderr } = spawnSync(process.execPath, build, { cwd: ROOT, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, expect.anything()]);
  env = { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') };
  writeFileSync(join(folder, 'up'), tinyElf([...printing('INIT-UP\n'), ...CLI_LOOP]));
  writeFileSync(join(folder, 'panic'), tinyElf(UD2));
  writeFileSync(join(folder, 'initrd'), 'x');
  writeFileSync(join(folder, 'text'), 'not a kernel');
  writeFileSync(join(folder, 'disk'), new Uint8Array(0x10000));
});
afterAll(() => rmSync(folder, { recursive: true }));

function pvops(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['pvops.mjs', ...args], {
    cwd: folder,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { status, stdout, stderr };
}

describe('pvops', () => {
  it('says which file is missing when it was copied without its program', () => {
    mkdirSync(join(folder, 'alone'));
    copyFileSync(join(folder, 'pvops.mjs'), join(folder, 'alone/pvops.mjs'));
    const { status, stderr } = spawnSync(process.execPath, ['alone/pvops.mjs', '--version'], {
      cwd: folder,
      env,
      encoding: 'utf8',
    });
    expect(stderr).toMatch(/^pvops: the program .*pvops-program\.cjs is missing\nhint: .*\n$/);
    expect(status).toBe(2);
  });

  it('runs a kernel: its console on stdout, the verdict on stderr, status 0', () => {
    const { status, stdout, stderr } = pvops('run', 'up', '--initrd', 'initrd');
    expect(stdout).toBe('INIT-UP\n');
    expect(stderr).toContain('native: up: the console printed INIT-UP');
    expect(status).toBe(0);
  });

  it('prints nothing but the result with --json', () => {
    const { status, stdout } = pvops('run', 'up', '--initrd', 'initrd', '--json', '--on', 'kvm');
    expect(JSON.parse(stdout)).toMatchObject({ verdict: 'blind', interface: 'kvm@6.1' });
    expect(status).toBe(1);
  });

  it('runs a matrix in workers: a table, the reports, and status 1 for the panic', () => {
    const args = ['matrix', 'up', 'panic', '--initrd', 'initrd', '--on', 'native,kvm'];
    const { status, stdout, stderr } = pvops(...args, '--json', 'm.json', '--tap', 'm.tap');
    expect(stdout).toMatch(/^up +native +up /m);
    expect(stdout).toMatch(/^panic +native +panic /m);
    expect(stdout).toContain('1 passed, 1 skipped, 2 failed');
    expect(stderr).toContain('pvops: up on kvm@6.1: blind: ');
    const { cells } = JSON.parse(readFileSync(join(folder, 'm.json'), 'utf8'));
    expect(cells.map((cell: { verdict: string }) => cell.verdict)).toEqual([
      ...['up', 'blind', 'panic', 'panic'],
    ]);
    expect(readFileSync(join(folder, 'm.tap'), 'utf8')).toContain('ok 1 up on native\n');
    expect(status).toBe(1);
  });

  it('traces: events as JSON lines, counts by operation, and a file beside a run', () => {
    const events = pvops('trace', 'up', '--initrd', 'initrd').stdout.trimEnd().split('\n');
    expect(JSON.parse(events[0] ?? '')).toMatchObject({ interface: 'native', kernel: 'up' });
    expect(JSON.parse(events[1] ?? '')).toMatchObject({ entryPoint: 'OUT', retired: 2 });
    const args = ['--initrd', 'initrd', '--summary', '--ops', 'irq.*'];
    expect(pvops('trace', 'up', ...args).stdout).toContain('entry point');
    expect(pvops('run', 'up', '--initrd', 'initrd', '--trace', 't.jsonl').status).toBe(0);
    const text = readFileSync(join(folder, 't.jsonl'), 'utf8');
    expect(text.trimEnd().split('\n')).toEqual(events);
    expect(pvops('diff', 't.jsonl', 't.jsonl').stdout).toContain('identical: ');
    writeFileSync(join(folder, 'cut.jsonl'), text.slice(0, -30));
    const { status, stdout, stderr } = pvops('diff', 't.jsonl', 'cut.jsonl');
    expect(stderr).toContain('cut.jsonl is cut off');
    expect(stdout).toContain('B >  nothing');
    expect(status).toBe(1);
  }, 120_000); // Seven processes, on a busy host.

  it('compares traces of either form, refuses others, and ends a run when its trace has no room', () => {
    const trace = (...args: string[]) => pvops('trace', 'up', '--initrd', 'initrd', ...args);
    trace('--out', 'a.jsonl');
    trace('--out', 'a.bin', '--format', 'binary');
    trace('--out', 'a.json', '--format', 'chrome');
    expect(pvops('diff', 'a.jsonl', 'a.bin').stdout).toContain('identical: ');
    const foreign = pvops('diff', 'a.jsonl', 'a.json');
    expect([foreign.status, foreign.stderr]).toEqual([2, expect.stringContaining('a.json')]);
    const full = trace('--out', '/dev/full');
    expect(full.stderr).toContain('the disk is full');
    expect(full.status).toBe(2);
  }, 120_000);

  it('ends with 42 when guest time is up', () => {
    const args = ['--initrd', 'initrd', '--expect-text', 'never', '--timeout', '1ms'];
    const { status, stderr } = pvops('run', 'up', ...args);
    expect(stderr).toContain("did not print 'never' within 0.001 s of guest time");
    expect(status).toBe(42);
  });

  it.each([
    [['run', 'absent'], 'there is no such file'],
    [['run', '.'], 'it is a directory'],
    [['run', 'text'], 'is not a kernel'],
    [['run', 'up'], 'there is no initrd'],
    [['matrix', 'up', '--on', 'native,kmv'], "there is no interface 'kmv'"],
    [['matrix', 'up', '--baseline', 'text'], 'it is not JSON'],
    [['trace', 'up', '--ops', 'mmu.set_ptee'], "there is no operation 'mmu.set_ptee'"],
    [['run', 'up', '--trace', 'no/folder', '--initrd', 'initrd'], 'its folder does not exist'],
    [['diff', 'text', 'text'], 'is not a trace of pvops'],
    [['ops', '--can', 'set_pte'], "there is no operation 'set_pte'"],
    [['run', 'up', '--on', 'kmv'], "there is no interface 'kmv'"],
    [['run', 'up', '--disk', 'disk,cow,ide', '--machine', 'microvm'], 'no room for an ide disk'],
    [['run', 'up', '--bios', 'disk'], 'both by the kernel up and by the BIOS disk'],
    [['run', '--bios', 'disk', '--append', 'x'], '--append says something about a kernel'],
    [['run', 'up', '--drivers', 'ext4'], 'did not come in a package'],
    [['run', 'up', '--memory', '4G'], 'cannot have 4096 MiB'],
    [['run', 'debian:12'], 'has not been pulled'],
  ])('%j is refused in a sentence with a hint, status 2', (args, sentence) => {
    const { status, stdout, stderr } = pvops(...args);
    expect(stderr).toMatch(/^pvops: .*\nhint: .*\n$/);
    expect(stderr).toContain(sentence);
    expect([status, stdout]).toEqual([2, '']);
  });

  it.each([[['run', 'up', '--foo']], [['rum']], [['run']]])(
    '%j is wrong usage, status 2',
    (args) => {
      const { status, stdout, stderr } = pvops(...args);
      expect(stderr).toMatch(/^error: /);
      expect([status, stdout]).toEqual([2, '']);
    },
  );

  it('shows help with status 0', () => {
    const { status, stdout } = pvops('--help');
    expect(stdout).toContain('run [options] [kernel]');
    expect(status).toBe(0);
  });
});
