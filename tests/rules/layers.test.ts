// Rule: every import of src respects the table of layers, and a planted violation is seen.

import { describe, expect, it } from 'vitest';
import { checkLayers, LAYERS } from './layers.ts';
import { foldersIn, readSources } from './source-files.ts';
import { importsOf } from './source-imports.ts';

describe('the source tree', () => {
  const sources = readSources(['src']);
  const report = checkLayers(sources);

  it('is seen by the check: files in every folder of src, and imports in them', () => {
    expect(report.files).toBeGreaterThan(5);
    expect(report.imports).toBeGreaterThan(5);
    for (const folder of foldersIn('src')) {
      expect([...sources.keys()].some((path) => path.startsWith(`src/${folder}/`))).toBe(true);
    }
  });

  it('imports only what the table of layers allows, without cycles', () => {
    expect(report.violations).toEqual([]);
  });

  it('has no layer that imports upwards: the table itself is free of cycles', () => {
    const below = (name: string, seen: readonly string[]): void => {
      expect(seen).not.toContain(name);
      for (const next of LAYERS[name]?.layers ?? []) below(next, [...seen, name]);
    };
    for (const name of Object.keys(LAYERS)) below(name, []);
  });
});

describe('a planted violation', () => {
  const violations = (files: Record<string, string>): readonly string[] =>
    checkLayers(new Map(Object.entries(files))).violations;
  const inCpu = (line: string): readonly string[] => violations({ 'src/cpu/x.ts': line });

  it.each([
    "import { uart } from '../machine/uart.ts';",
    "import {\n  uart,\n  type Uart,\n} from '../machine/uart.ts';",
    "import type { Uart } from '../machine/uart.ts';",
    "import * as m from '../machine/uart.ts';",
    "import m, { uart } from '../machine/uart.ts';",
    "import '../machine/uart.ts';",
    "const m = await import('../machine/uart.ts');",
    "type U = import('../machine/uart.ts').Uart;",
    "export * from '../machine/uart.ts';",
    "export * as m from '../machine/uart.ts';",
    "export { uart } from '../machine/uart.ts';",
    "export type { Uart } from '../machine/uart.ts';",
    "const m = require('../machine/uart.ts');",
    "new Worker(new URL('../machine/uart.ts', import.meta.url));",
    "const re = /[/']/; import '../machine/uart.ts';",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the source text of a template.
    "const s = `${`}`} it's`; import '../machine/uart.ts';",
  ])('is caught when it is written as %s', (line) => {
    expect(inCpu(line)).toEqual([
      expect.stringContaining('cpu may not import machine (src/machine/uart.ts)'),
    ]);
  });

  it('is caught with its file and line', () => {
    expect(inCpu("import '../base/a.ts';\n\nimport '../lab/run.ts';")).toEqual([
      'src/cpu/x.ts:3: cpu may not import lab (src/lab/run.ts)',
    ]);
  });

  it('is caught when the path is computed, except in the host that loads user files', () => {
    expect(inCpu('await import(name);')).toEqual(['src/cpu/x.ts:1: cpu imports a computed path']);
    expect(inCpu("await import('../base/' + name);")).toHaveLength(1);
    expect(violations({ 'src/host/node/load.ts': 'await import(url);' })).toEqual([]);
  });

  it('is caught when the core imports Node, a package, a test or a file outside src', () => {
    for (const path of ['node:fs', 'fs', 'valibot', './y.test.ts', '../../tools/x.ts']) {
      expect(inCpu(`import '${path}';`)).toHaveLength(1);
    }
    expect(violations({ 'src/host/node/files.ts': "import 'node:fs';" })).toEqual([]);
  });

  it('is caught when a folder is not a layer', () => {
    expect(violations({ 'src/utils/x.ts': "import './y.ts';" })).toEqual([
      "src/utils/x.ts:1: 'utils' is not a layer",
    ]);
  });

  it('is caught when an interface knows another or the registry', () => {
    const from = (path: string, target: string): number =>
      violations({ [`src/hypervisors/${path}`]: `import '${target}';` }).length;
    expect(from('kvm/index.ts', '../native/entry.ts')).toBe(1);
    expect(from('hw/watch.ts', '../kvm/abi.ts')).toBe(1);
    expect(from('kvm/index.ts', '../index.ts')).toBe(1);
    expect(from('kvm/index.ts', '../hw/watch.ts')).toBe(0);
    expect(from('kvm/index.ts', '../define.ts')).toBe(0);
    expect(from('index.ts', './kvm/index.ts')).toBe(0);
  });

  it('is caught when files import each other in a circle, and types do not count', () => {
    const a = "import { b } from './b.ts';";
    expect(violations({ 'src/cpu/a.ts': a, 'src/cpu/b.ts': "export * from './a.ts';" })).toEqual([
      'import cycle: src/cpu/a.ts -> src/cpu/b.ts -> src/cpu/a.ts',
    ]);
    const types = { 'src/cpu/a.ts': a, 'src/cpu/b.ts': "import type { A } from './a.ts';" };
    expect(violations(types)).toEqual([]);
  });
});

describe('the scanner', () => {
  it('does not take comments, strings, templates or members for imports', () => {
    const text = [
      "// import '../machine/a.ts';",
      "/* import '../machine/a.ts'; */",
      'const a = "import \'../machine/a.ts\'";',
      "const b = `import '../machine/a.ts'`;",
      "loader.import('../machine/a.ts');",
      'const url = import.meta.url;',
      'export { a };',
      "const from = 'b';",
      'export type T = { from: string };',
      'export const c = 1;',
    ];
    expect(importsOf(text.join('\n'))).toEqual([]);
  });

  it('tells a type import from a default import named type', () => {
    expect(importsOf("import type from './a.ts';")[0]?.typeOnly).toBe(false);
    expect(importsOf("import type T from './a.ts';")[0]?.typeOnly).toBe(true);
    expect(importsOf("import { type T } from './a.ts';")[0]?.typeOnly).toBe(false);
  });
});
