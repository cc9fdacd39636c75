// Kernel modules out of a package: the ones that are wanted, what they depend on, and the index by which modprobe finds them.
import { InputError } from '../base/errors.ts';
import type { TarEntry } from './archive/tar.ts';
import { utf8Bytes, utf8Text } from './bytes.ts';
import { detect } from './codec/detect.ts';
import { parseElf, sectionBytes } from './elf.ts';
import type { InitramfsFile } from './initramfs.ts';

/** Files of a guest, and the names that `modprobe` is to be given. */
export interface ModuleSet {
  readonly files: readonly InitramfsFile[];
  readonly names: readonly string[];
}

export const NO_MODULES: ModuleSet = { files: [], names: [] };

interface Module {
  readonly name: string;
  /** `/lib/modules/RELEASE/kernel/fs/ext4/ext4.ko` */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Names of modules, or aliases of them, that go first. */
  readonly needs: readonly string[];
}

const MODULE_BYTES_MAX = 256 << 20;
const PATH = /^(?:usr\/)?(lib\/modules\/[^/]+)\/(.*\/)?([^/]+)\.ko(?:\.\w+)?$/;
const BUILT_IN = /^(?:usr\/)?lib\/modules\/[^/]+\/modules\.builtin$/;

/**
 * The wanted modules with everything that they name in `depends` and `softdep` (kmod, libkmod-module.c: both are
 * fields of .modinfo). What the kernel has built in is left out; what is nowhere is an `InputError`.
 */
export function collectModules(
  entries: readonly TarEntry[],
  wanted: readonly string[],
  what: string,
): ModuleSet {
  const package_ = openModules(entries);
  const collected = new Map<string, Module>();
  const names: string[] = [];
  const visit = (name: string, needed: boolean): string | null => {
    const module = package_.find(name);
    if (!module) {
      if (needed && !package_.builtIn.has(plain(name))) throw noModule(name, what);
      return null;
    }
    if (!collected.has(module.name)) {
      collected.set(module.name, module);
      for (const need of module.needs) visit(need, false);
    }
    return module.name;
  };
  for (const name of wanted) {
    const found = visit(name, true);
    if (found !== null) names.push(found);
  }
  const modules = [...collected.values()];
  const files = modules.map(({ path, bytes }) => ({ path, bytes, mode: 0o644 }));
  return { files: [...files, ...indexOf(modules, package_.find)], names };
}

/** modules.dep(5): a path, and the paths that it depends on, the last to be loaded first. */
function indexOf(
  modules: readonly Module[],
  find: (name: string) => Module | null,
): InitramfsFile[] {
  const [first] = modules;
  if (!first) return [];
  const root = /^\/lib\/modules\/[^/]+\//.exec(first.path)![0];
  const relative = ({ path }: Module) => path.slice(root.length);
  const lines = modules.map((module) => {
    const before = loadOrder(module, find).slice(0, -1).reverse();
    return `${relative(module)}: ${before.map(relative).join(' ')}\n`;
  });
  return [{ path: `${root}modules.dep`, bytes: utf8Bytes(lines.join('')), mode: 0o644 }];
}

/** The module last, behind all that it needs. */
function loadOrder(module: Module, find: (name: string) => Module | null): Module[] {
  const order: Module[] = [];
  const open = new Set<string>();
  const visit = (each: Module) => {
    if (open.has(each.name)) return;
    open.add(each.name);
    for (const need of each.needs) {
      const found = find(need);
      if (found) visit(found);
    }
    order.push(each);
  };
  visit(module);
  return order;
}

function openModules(entries: readonly TarEntry[]) {
  const paths = new Map<string, TarEntry>();
  const builtIn = new Set<string>();
  for (const entry of entries) {
    const [, , , name] = PATH.exec(entry.path) ?? [];
    if (name !== undefined) paths.set(plain(name), entry);
    if (!BUILT_IN.test(entry.path)) continue;
    for (const line of utf8Text(entry.bytes).split('\n')) {
      const [, base] = /([^/]+)\.ko$/.exec(line) ?? [];
      if (base !== undefined) builtIn.add(plain(base));
    }
  }
  const opened = new Map<string, Module>();
  const open = (name: string, entry: TarEntry): Module => {
    const held = opened.get(name);
    if (held) return held;
    const module = openModule(name, entry);
    opened.set(name, module);
    return module;
  };
  let aliases: Map<string, string> | null = null;
  return {
    builtIn,
    find(name: string): Module | null {
      const direct = paths.get(plain(name));
      if (direct) return open(plain(name), direct);
      if (builtIn.has(plain(name))) return null;
      aliases ??= aliasesOf(paths);
      const target = aliases.get(name) ?? aliases.get(plain(name));
      return target === undefined ? null : open(target, paths.get(target)!);
    },
  };
}

/** modprobe takes a dash for an underscore. */
const plain = (name: string): string => name.replaceAll('-', '_');

function openModule(name: string, entry: TarEntry): Module {
  const [, root = '', folder = '', file = ''] = PATH.exec(entry.path) ?? [];
  const bytes = unpacked(entry);
  const info = modinfo(bytes, entry.path);
  const depends = (info.get('depends') ?? []).flatMap((list) => list.split(','));
  const soft = (info.get('softdep') ?? []).flatMap(softDependencies);
  return {
    name,
    path: `/${root}/${folder}${file}.ko`,
    bytes,
    needs: [...depends, ...soft].filter((need) => need !== ''),
  };
}

/** `pre: crc32c post: x`: those before. */
function softDependencies(text: string): string[] {
  const [, before = ''] = /\bpre:\s*([^:]*?)(?:\s+post:.*)?$/.exec(text) ?? [];
  return before.split(/\s+/);
}

/**
 * Names by which modules want to be found besides their own; those with wildcards stand for hardware ids. Of several
 * with one alias, as ciphers have them, `x_generic` runs on every CPU.
 */
function aliasesOf(paths: ReadonlyMap<string, TarEntry>): Map<string, string> {
  const aliases = new Map<string, string>();
  for (const [name, entry] of paths) {
    for (const alias of modinfo(unpacked(entry), entry.path).get('alias') ?? []) {
      if (alias.includes('*')) continue;
      if (!aliases.has(alias) || name.endsWith('_generic')) aliases.set(alias, name);
    }
  }
  return aliases;
}

function unpacked({ bytes }: TarEntry): Uint8Array {
  const codec = detect(bytes);
  return codec ? codec.decode(bytes, MODULE_BYTES_MAX) : bytes;
}

/** The section .modinfo: `key=value` strings (include/linux/moduleparam.h, __MODULE_INFO). */
function modinfo(bytes: Uint8Array, path: string): Map<string, string[]> {
  const elf = parseElf(bytes, path);
  const section = elf.sections.find(({ name }) => name === '.modinfo');
  const fields = new Map<string, string[]>();
  for (const line of section ? utf8Text(sectionBytes(elf, section)).split('\0') : []) {
    const equals = line.indexOf('=');
    if (equals <= 0) continue;
    const key = line.slice(0, equals);
    fields.set(key, [...(fields.get(key) ?? []), line.slice(equals + 1)]);
  }
  return fields;
}

function noModule(name: string, what: string): InputError {
  return new InputError(
    'image/no-module',
    `${what} has no module ${JSON.stringify(name)}`,
    'give names as modprobe takes them, without folder and .ko: virtio_blk.',
  );
}
