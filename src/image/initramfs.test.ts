// The initramfs: what is in it, and that it is always the same.
import { expect, test } from 'vitest';
import { readCpio } from './archive/cpio.ts';
import { utf8Bytes, utf8Text } from './bytes.ts';
import { buildInitramfs } from './initramfs.ts';

const busybox = utf8Bytes('busybox');

function contents(options: Parameters<typeof buildInitramfs>[0]) {
  return new Map(readCpio(buildInitramfs(options)).map((entry) => [entry.path, entry]));
}

function textOf(entry: ReturnType<typeof readCpio>[number] | undefined): string {
  return entry?.kind === 'file' ? utf8Text(entry.bytes) : '';
}

test('the kernel finds a console, an init that may be executed, and busybox', () => {
  const entries = contents({ busybox });
  expect(entries.get('dev/console')).toMatchObject({ kind: 'char', major: 5, minor: 1 });
  expect(entries.get('dev/ttyS0')).toMatchObject({ kind: 'char', major: 4, minor: 64 });
  expect(entries.get('init')).toMatchObject({ kind: 'file', mode: 0o755 });
  expect(entries.get('bin/busybox')).toMatchObject({ mode: 0o755, bytes: busybox });
});

test('the kernel finds what it runs when it is asked to go down', () => {
  const entries = contents({ busybox });
  for (const name of ['poweroff', 'reboot'])
    expect(entries.get(`sbin/${name}`)).toMatchObject({ target: '../bin/busybox' });
});

test('init reports its uptime before it starts any process but the mount of /proc', () => {
  const lines = textOf(contents({ busybox }).get('init')).split('\n');
  const report = lines.indexOf('echo "INIT-UP uptime=$up"');
  expect(lines.slice(0, report)).toEqual([
    '#!/bin/busybox sh',
    '/bin/busybox mount -t proc proc /proc',
    'read -r up idle < /proc/uptime',
  ]);
});

test('files of the user get their folders, modes and places', () => {
  const entries = contents({
    busybox,
    files: [{ path: '/bench/a/loop', bytes: utf8Bytes('x'), mode: 0o700 }],
  });
  expect(entries.get('bench/a')).toMatchObject({ kind: 'directory' });
  expect(entries.get('bench/a/loop')).toMatchObject({ kind: 'file', mode: 0o700 });
  const paths = [...entries.keys()];
  expect(paths.indexOf('bench')).toBeLessThan(paths.indexOf('bench/a'));
});

test('a script is put where init runs it, and exit makes init power off', () => {
  const entries = contents({ busybox, script: 'echo hello\n', exit: true });
  expect(textOf(entries.get('etc/pvops-script'))).toBe('echo hello\n');
  expect(textOf(entries.get('init'))).toContain('\npvops_exit=1\n');
  expect(textOf(contents({ busybox }).get('init'))).not.toContain('\npvops_exit=1\n');
});

test('the same options give the same bytes', () => {
  expect(buildInitramfs({ busybox })).toEqual(buildInitramfs({ busybox }));
});
