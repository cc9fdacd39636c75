// Pulling kernels by name, over a small Debian mirror on this host's loopback interface.
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDeb } from '../../../tests/image/build.ts';
import { parseTargets, sourcesFor } from './apt.ts';
import { readUnpacked, writeUnpacked } from './cache.ts';
import { cacheDirectory } from './cache-directory.ts';
import { dependencyLike, parseKernelName } from './flavours.ts';
import { compareVersions, releaseDigest } from './mirror.ts';
import { cached, pull } from './packages.ts';

const KERNEL = makeDeb('Package: linux-image-6.1.0-9-cloud-amd64\n', {});
const BUSYBOX = makeDeb('Package: busybox-static\n', {});
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

const entry = (name: string, version: string, bytes: Uint8Array, depends = '') =>
  `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\n${depends}Filename: pool/${name}.deb\nSize: ${bytes.length}\nSHA256: ${sha256(bytes)}\nDescription: text\n more\n\n`;

const INDEX = [
  entry(
    'linux-image-cloud-amd64',
    '6.1.9-1',
    KERNEL,
    'Depends: linux-image-6.1.0-9-cloud-amd64 (= 6.1.9-1)\n',
  ),
  entry('linux-image-6.1.0-9-cloud-amd64', '6.1.9-1', KERNEL),
  entry('busybox-static', '1:1.35.0-4', BUSYBOX),
].join('');

let cache: string;
let server: Server;
let mirror: string;
let files: Map<string, Uint8Array>;

beforeEach(async () => {
  cache = mkdtempSync(join(tmpdir(), 'pvops-test-'));
  const packed = gzipSync(INDEX);
  const path = 'main/binary-amd64/Packages.gz';
  const release = `Origin: Debian\nMD5Sum:\n 0 1 ${path}\nSHA256:\n ${sha256(packed)} ${packed.length} ${path}\n`;
  files = new Map<string, Uint8Array>([
    ['/debian/dists/bookworm/Release', Buffer.from(release)],
    [`/debian/dists/bookworm/${path}`, packed],
    ['/debian/pool/linux-image-6.1.0-9-cloud-amd64.deb', KERNEL],
    ['/debian/pool/busybox-static.deb', BUSYBOX],
  ]);
  server = createServer((request, response) => {
    const body = files.get(request.url ?? '');
    response.writeHead(body ? 200 : 404).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian`;
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(cache, { recursive: true });
});

test('a name is resolved over its meta package, and the files are in the cache', async () => {
  const steps: string[] = [];
  const onProgress = ({ step }: { step: string }) => steps.push(step);
  const pulled = await pull('debian:12', { mirror, cache, onProgress });
  expect(pulled).toMatchObject({
    name: 'debian:12/cloud-amd64',
    package: 'linux-image-6.1.0-9-cloud-amd64',
    version: '6.1.9-1',
    kernelSha256: sha256(KERNEL),
  });
  expect(Buffer.compare(readFileSync(pulled.kernelDeb), KERNEL)).toBe(0);
  expect(pulled.busyboxDeb).toMatch(/busybox-static_1%3a1\.35\.0-4_amd64\.deb$/);
  expect(new Set(steps)).toEqual(new Set(['lists', 'download']));
  expect(readdirSync(cache).sort()).toEqual(['names', 'packages']);
});

test('what was pulled is there without a mirror, and a second pull fetches no package again', async () => {
  expect(await cached('debian:12', { cache })).toBeNull();
  const pulled = await pull('debian:12', { mirror, cache });
  for (const path of files.keys()) if (path.includes('/pool/')) files.delete(path);
  expect(await pull('debian:12/cloud-amd64', { mirror, cache })).toEqual(pulled);
  files.clear();
  expect(await cached('debian:12/cloud-amd64', { cache })).toEqual(pulled);
  const offline = await pull('debian:12', { mirror, cache });
  expect(offline).toMatchObject({ ...pulled, notRefreshed: expect.stringContaining('404') });
});

test('a damaged file in the cache is noticed and fetched again', async () => {
  const pulled = await pull('debian:12', { mirror, cache });
  writeFileSync(pulled.kernelDeb, 'damaged');
  expect(await cached('debian:12', { cache })).toBeNull();
  await pull('debian:12', { mirror, cache });
  expect(Buffer.compare(readFileSync(pulled.kernelDeb), KERNEL)).toBe(0);
});

test('a record that is damaged counts as missing', async () => {
  await pull('debian:12', { mirror, cache });
  const [record] = readdirSync(join(cache, 'names'));
  for (const text of [
    '',
    '{',
    '{"name":"debian:12/cloud-amd64"}',
    readRecordWithPath('../../etc/passwd'),
  ]) {
    writeFileSync(join(cache, 'names', record!), text);
    expect(await cached('debian:12', { cache })).toBeNull();
  }
});

function readRecordWithPath(file: string): string {
  const entry = { package: 'p', version: '1', sha256: '0'.repeat(64), file };
  return JSON.stringify({ name: 'debian:12/cloud-amd64', kernel: entry, busybox: entry });
}

test('a package or index without the digest that was promised is refused and leaves nothing behind', async () => {
  files.set('/debian/pool/busybox-static.deb', Buffer.from(BUSYBOX).reverse());
  await expect(pull('debian:12', { mirror, cache })).rejects.toMatchObject({
    code: 'host/pull-failed',
    message: expect.stringContaining('busybox-static does not have the digest'),
  });
  expect(await cached('debian:12', { cache })).toBeNull();
  files.set('/debian/dists/bookworm/main/binary-amd64/Packages.gz', gzipSync(`${INDEX}\n`));
  await expect(pull('debian:12', { mirror, cache })).rejects.toMatchObject({
    message: expect.stringContaining('does not have the digest'),
  });
  expect(readdirSync(cache).filter((each) => each.startsWith('work-'))).toEqual([]);
});

test('a body longer than the index says is cut off', async () => {
  files.set('/debian/pool/busybox-static.deb', Buffer.concat([BUSYBOX, Buffer.alloc(1)]));
  await expect(pull('debian:12', { mirror, cache })).rejects.toMatchObject({
    message: expect.stringContaining(`more than ${BUSYBOX.length} bytes`),
  });
});

test('a mirror that is no URL, or names that are unknown, are refused', async () => {
  await expect(pull('debian:12', { mirror: 'debian', cache })).rejects.toMatchObject({
    code: 'host/bad-mirror',
  });
  for (const name of [
    'debian',
    'debian:',
    'debian:7',
    'debian:12/',
    'debian:12/arm64',
    'debian:__proto__',
  ]) {
    expect(() => parseKernelName(name)).toThrow('There is no kernel by the name');
  }
});

test('a host without apt and without anything pulled says what to do', async () => {
  const path = process.env.PATH;
  process.env.PATH = cache;
  try {
    await expect(pull('debian:12', { cache })).rejects.toMatchObject({
      code: 'host/no-apt',
      message: 'debian:12/cloud-amd64 cannot be pulled: This host has no apt-get',
      hint: 'Give a mirror (--mirror URL), or run a kernel file that you have.',
    });
  } finally {
    process.env.PATH = path;
  }
});

test('the Debian archives of the host are asked for the release that is wanted', () => {
  const targets = parseTargets(
    [
      'Packages http://m/debian/ trixie main',
      'Packages http://m/debian/ trixie main',
      'Packages http://m/debian/ trixie contrib',
      'Translations http://m/debian/ trixie main',
      'Packages http://m/debian/ trixie-backports main',
      'Packages http://s/debian-security/ trixie-security main',
      'Packages http://other/ nodistro main',
    ].join('\n'),
  );
  expect(sourcesFor(targets, 'bookworm', 'i386', '/k.gpg')).toEqual([
    'deb [arch=i386 signed-by=/k.gpg] http://m/debian/ bookworm main\n',
    'deb [arch=i386 signed-by=/k.gpg] http://s/debian-security/ bookworm-security main\n',
  ]);
});

test('the kernel among the dependencies of a meta package is found', () => {
  const { dependency } = parseKernelName('debian:12/686-pae');
  const depends = 'foo, linux-image-6.1.0-9-686-pae (= 6.1.9-1) | bar';
  expect(dependencyLike(depends, dependency!)).toBe('linux-image-6.1.0-9-686-pae');
  expect(dependencyLike('linux-image-amd64', dependency!)).toBeNull();
});

test('names stand for packages, those of guests that are not Linux kernels too', () => {
  const packages = ['686', 'installer-i386', 'memtest86+', 'xen'].map((flavour) => {
    const { package: asked, architecture } = parseKernelName(`debian:12/${flavour}`);
    return [asked, architecture];
  });
  expect(packages).toEqual([
    ['linux-image-686', 'i386'],
    ['debian-installer-12-netboot-i386', 'i386'],
    ['memtest86+', 'amd64'],
    ['xen-system-amd64', 'amd64'],
  ]);
});

test('versions are ordered as dpkg orders them', () => {
  const ordered = [
    '1.0~rc1',
    '1.0',
    '1.0-1',
    '1.0-1+deb12u1',
    '1.0-2',
    '1.0-10',
    '1.0.1',
    '1.10',
    '1:0.1',
  ];
  for (const [n, a] of ordered.entries()) {
    for (const [m, b] of ordered.entries())
      expect(Math.sign(compareVersions(a, b))).toBe(Math.sign(n - m));
  }
});

test('only the SHA256 section of a Release file counts', () => {
  const digest = 'a'.repeat(64);
  expect(
    releaseDigest(
      `MD5Sum:\n ${digest} 1 p\nSHA256:\n ${digest} 1 q\nSHA512:\n ${digest} 1 r\n`,
      'q',
    ),
  ).toBe(digest);
  expect(releaseDigest(`MD5Sum:\n ${digest} 1 p\nSHA256:\n ${digest} 1 q\n`, 'p')).toBeNull();
});

test('the cache follows XDG_CACHE_HOME unless that is relative', () => {
  expect(cacheDirectory({ XDG_CACHE_HOME: '/x' })).toBe('/x/pvops');
  expect(cacheDirectory({ XDG_CACHE_HOME: 'x' })).toMatch(/\.cache\/pvops$/);
});

test('unpacked images are kept by digest and label, and damage is noticed', async () => {
  const digest = 'b'.repeat(64);
  expect(await readUnpacked(cache, digest, 'vmlinux')).toBeNull();
  await writeUnpacked(cache, digest, 'vmlinux', Buffer.from('elf'));
  expect(String(await readUnpacked(cache, digest, 'vmlinux'))).toBe('elf');
  writeFileSync(join(cache, 'unpacked', digest, 'vmlinux'), 'flo');
  expect(await readUnpacked(cache, digest, 'vmlinux')).toBeNull();
});

test('what is zeros in an unpacked image is not read again, and comes back as zeros', async () => {
  const digest = 'c'.repeat(64);
  const bytes = Buffer.alloc(0x5_0123);
  for (const at of [0x1_ffff, 0x2_0000, 0x5_0122]) bytes[at] = 7;
  await writeUnpacked(cache, digest, 'vmlinux', bytes);
  for (const _ of ['looked at', 'known']) {
    const read = await readUnpacked(cache, digest, 'vmlinux');
    expect(read && Buffer.compare(read, bytes)).toBe(0);
  }
});

test('a list of what is not zeros that was damaged is made anew', async () => {
  const digest = 'e'.repeat(64);
  await writeUnpacked(cache, digest, 'vmlinux', Buffer.alloc(0x2_0000, 7));
  await readUnpacked(cache, digest, 'vmlinux');
  const [name] = readdirSync(cache, { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.filled') && path.includes(digest),
  );
  const list = join(cache, name!);
  const whole = readFileSync(list, 'utf8');
  for (const places of ['0 x', '0', '131072 0', '0 999999999']) {
    writeFileSync(list, whole.replace(/\n.*\n$/, `\n${places}\n`));
    expect((await readUnpacked(cache, digest, 'vmlinux'))?.every((byte) => byte === 7)).toBe(true);
  }
});

test('an unpacked image without bytes has none', async () => {
  const digest = 'd'.repeat(64);
  await writeUnpacked(cache, digest, 'config', Buffer.alloc(0));
  for (const _ of ['looked at', 'known'])
    expect(await readUnpacked(cache, digest, 'config')).toHaveLength(0);
});
