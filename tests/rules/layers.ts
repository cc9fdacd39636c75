// The layers of src as data, and the check of every import against them.

import { posix } from 'node:path';
import type { Sources } from './source-files.ts';
import { importsOf } from './source-imports.ts';

interface Layer {
  /** Layers below that it may import; itself is always allowed. */
  readonly layers: readonly string[];
  /** Packages it may import; `node:` stands for every module of Node. */
  readonly packages: readonly string[];
}

/**
 * Who may import whom. Everybody may import `base`, which knows nothing; the packages of a layer without platform
 * names are pure functions.
 */
export const LAYERS: Readonly<Record<string, Layer>> = {
  base: { layers: [], packages: [] },
  ops: { layers: ['base'], packages: [] },
  cpu: { layers: ['base'], packages: [] },
  machine: { layers: ['base', 'cpu'], packages: [] },
  image: { layers: ['base'], packages: ['fflate', 'fzstd'] },
  hypervisors: { layers: ['base', 'ops', 'cpu', 'machine', 'image'], packages: [] },
  probe: { layers: ['base', 'ops', 'cpu'], packages: [] },
  lab: {
    layers: ['base', 'ops', 'cpu', 'machine', 'hypervisors', 'image', 'probe'],
    packages: ['valibot'],
  },
  host: { layers: ['base', 'lab'], packages: ['node:', 'valibot'] },
  cli: { layers: ['base', 'lab', 'host'], packages: ['node:', 'commander', 'valibot'] },
  web: { layers: ['base', 'lab', 'host'], packages: ['valibot', '@xterm/xterm', 'uplot'] },
};

/** Folders of `src/hypervisors` that are shared code and not interfaces. */
export const FAMILY_FOLDERS: readonly string[] = ['boot', 'hw', 'testing', 'xen'];

/** Layers that load files named by the user (`--on ./mine.mjs`), and so may import a computed path. */
const COMPUTED_IMPORTS: readonly string[] = ['host'];

export interface LayerReport {
  readonly files: number;
  readonly imports: number;
  readonly violations: readonly string[];
}

/** Checks the files of `src` among `sources`. Tests beside the code are free to import what they like. */
export function checkLayers(sources: Sources): LayerReport {
  const graph = new Map<string, string[]>();
  const violations: string[] = [];
  let imports = 0;
  for (const [path, text] of sources) {
    if (!path.startsWith('src/') || path.endsWith('.test.ts')) continue;
    const loaded: string[] = [];
    graph.set(path, loaded);
    for (const { specifier, typeOnly, line } of importsOf(text)) {
      imports++;
      const why = refusal(path, specifier);
      if (why) violations.push(`${path}:${line}: ${why}`);
      if (specifier?.startsWith('.') && !typeOnly) loaded.push(resolve(path, specifier));
    }
  }
  violations.push(...cycles(graph).map((cycle) => `import cycle: ${cycle.join(' -> ')}`));
  return { files: graph.size, imports, violations };
}

function refusal(path: string, specifier: string | null): string | undefined {
  const from = layerOf(path);
  const layer = LAYERS[from];
  if (!layer) return `'${from}' is not a layer`;
  if (specifier === null) {
    return COMPUTED_IMPORTS.includes(from) ? undefined : `${from} imports a computed path`;
  }
  if (!specifier.startsWith('.')) return refusedPackage(from, layer, specifier);
  const target = resolve(path, specifier);
  if (!target.startsWith('src/')) return `${from} imports ${target}, outside src`;
  if (target.endsWith('.test.ts')) return `${from} imports a test, ${target}`;
  const to = layerOf(target);
  if (to !== from && !layer.layers.includes(to)) return `${from} may not import ${to} (${target})`;
  return from === 'hypervisors' && to === from ? refusedInterface(path, target) : undefined;
}

function refusedPackage(from: string, layer: Layer, specifier: string): string | undefined {
  const allowed = layer.packages.some((name) =>
    name.endsWith(':')
      ? specifier.startsWith(name)
      : specifier === name || specifier.startsWith(`${name}/`),
  );
  return allowed ? undefined : `${from} may not import the package '${specifier}'`;
}

/** Interfaces do not know each other, and only the registry knows them all. */
function refusedInterface(path: string, target: string): string | undefined {
  const from = path.split('/')[2] ?? '';
  const to = target.split('/')[2] ?? '';
  if (from === to || /^index(\.gen)?\.ts$/.test(from)) return undefined;
  if (/^index(\.gen)?\.ts$/.test(to)) return `the registry of interfaces is for other layers only`;
  const isInterface = !to.endsWith('.ts') && !FAMILY_FOLDERS.includes(to);
  return isInterface ? `${from} may not know the interface ${to} (${target})` : undefined;
}

const layerOf = (path: string): string => path.split('/')[1] ?? '';

const resolve = (path: string, specifier: string): string =>
  posix.join(posix.dirname(path), specifier.replace(/\?.*$/, ''));

/** One cycle for each edge that closes one in a depth-first walk. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.push([...trail.slice(start), path]);
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const next of graph.get(path) ?? []) visit(next);
    trail.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return found;
}
