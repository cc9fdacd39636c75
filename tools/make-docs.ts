// Writes what docs have between `<!-- gen:name -->` and `<!-- /gen:name -->` from the code (`npm run docs`).

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { toJsonSchema } from '@valibot/to-json-schema';
import {
  abilityText,
  type Coverage,
  coverageOf,
  findInterface,
  GROUPS,
  INTERFACES,
  LINUX_VERSIONS,
  linuxName,
  matrixSchema,
  OPERATIONS,
  operationFacts,
  probeColumns,
  probeCoverage,
} from '../src/lab/index.ts';

import { allPrograms } from '../tests/oracle/programs/index.ts';
import { askedRows } from '../tests/xen/asked.ts';
import { readExplained, SUITES, type Suite } from '../tests/xen/suites.ts';

/** Each document with its generated parts. */
type Parts = Readonly<Record<string, () => string>>;

/** Each interface has a page, in the end. */
const page = (id: string): string =>
  fileURLToPath(new URL(`../docs/hypervisors/${id}.md`, import.meta.url));

export function generatedDocs(): ReadonlyMap<string, Parts> {
  const described = INTERFACES.filter(({ id }) => existsSync(page(id)));
  const pages = described
    .filter(({ ops, calls }) => ops !== undefined || calls)
    .map(({ id, ops, calls }) => {
      const operations = ops && { operations: () => entryPoints(id) };
      const table = calls && { calls: () => callTable(id, calls) };
      const suites = SUITES.filter(({ on }) => on === id);
      const differences = suites.length > 0 && { explained: () => explainedDifferences(suites) };
      const parts = { ...operations, ...table, ...differences } as Parts;
      return [`docs/hypervisors/${id}.md`, parts] as const;
    });
  return new Map<string, Parts>([
    ['docs/operations.md', { catalogue, coverage: coverageTable }],
    ['docs/cpu.md', { programs: probePrograms }],
    ['docs/probe.md', { probes: probeTable }],
    ...pages,
  ]);
}

const DRAFT = 'http://json-schema.org/draft-07/schema#';
const TITLE = 'What pvops matrix --json writes and --baseline reads';

/** Documents that are generated whole. */
const WHOLE: Readonly<Record<string, () => string>> = {
  'docs/matrix.schema.json': () => {
    const schema = toJsonSchema(matrixSchema, { errorMode: 'throw' });
    return `${JSON.stringify({ $schema: DRAFT, title: TITLE, ...schema }, null, 2)}\n`;
  },
};

/** Throws if the document lacks one of its marks. */
export function fill(text: string, parts: Parts, path: string): string {
  let filled = text;
  for (const [name, make] of Object.entries(parts)) {
    const [start, end] = [`<!-- gen:${name} -->\n`, `<!-- /gen:${name} -->`];
    const from = filled.indexOf(start);
    const to = filled.indexOf(end);
    if (from < 0 || to < from)
      throw new Error(`${path} lacks the marks ${start.trim()} and ${end}`);
    filled = `${filled.slice(0, from)}${start}${make()}\n${filled.slice(to)}`;
  }
  return filled;
}

/** Documents that are not what the code would write. */
export function staleDocs(root: string): { path: string; text: string }[] {
  const read = (path: string) => {
    const at = join(root, path);
    return existsSync(at) ? readFileSync(at, 'utf8') : '';
  };
  const partial = [...generatedDocs()].map(([path, parts]) => [
    path,
    fill(read(path), parts, path),
  ]);
  const whole = Object.entries(WHOLE).map(([path, make]) => [path, make()]);
  return [...partial, ...whole].flatMap(([path = '', text = '']) =>
    text === read(path) ? [] : [{ path, text }],
  );
}

/** Where the real Xen answers otherwise. */
function explainedDifferences(suites: readonly Suite[]): string {
  const rows = suites
    .flatMap((suite) => [...readExplained(suite)])
    .map(([name, reason]) => [`\`${name}\``, reason]);
  return markdown(['program', 'why'], rows);
}

/** The oracle programs' topics, how many each has, and the sections that they ask about. */
function probePrograms(): string {
  const topics = new Map<string, { count: number; refs: Set<string> }>();
  for (const { name, ref } of allPrograms) {
    const topic = name.split('/', 1)[0] ?? '';
    const found = topics.get(topic) ?? { count: 0, refs: new Set() };
    found.count++;
    topics.set(topic, { ...found, refs: found.refs.add(ref) });
  }
  const rows = [...topics].map(([topic, { count, refs }]) => [
    topic,
    `${count}`,
    [...refs].sort().join('; '),
  ]);
  return markdown(['topic', 'programs', 'sections'], rows);
}

/** Operations by interfaces; the same reason everywhere stands once. */
function probeTable(): string {
  const columns = probeColumns().map(({ id, bits }) => `${id} ${bits}`);
  const rows = probeCoverage().map(({ operation, on }) => [
    `\`${operation}\``,
    ...on.map(({ probes, reason }) => (probes.length > 0 ? probes.join(', ') : `- ${reason}`)),
  ]);
  return markdown(
    ['operation', ...columns],
    rows.map(([operation = '', first = '', ...rest]) =>
      rest.every((cell) => cell === first)
        ? [operation, first, ...rest.map(() => '″')]
        : [operation, first, ...rest],
    ),
  );
}

function catalogue(): string {
  return GROUPS.map((group) => {
    const rows = OPERATIONS.filter(({ id }) => id.startsWith(`${group}.`)).map((op) => {
      const facts = operationFacts(op);
      const names = LINUX_VERSIONS.map((version) => shortName(linuxName(op, version)));
      return [`\`${op.id}\` ${facts.signature}`, op.does, facts.native, ...names];
    });
    const linux = group === 'request' ? [] : LINUX_VERSIONS;
    const header = ['operation', 'does', 'native', ...linux];
    return `### ${group}\n${markdown(
      header,
      rows.map((row) => row.slice(0, header.length)),
    )}`;
  }).join('\n\n');
}

/** Members of the structure without it; hooks whole. */
const shortName = (name: string | null): string =>
  name === null ? '-' : name.replace(/^(paravirt_ops|pv_\w+_ops|pv_ops\.\w+)\./, '');

function coverageTable(): string {
  const all = INTERFACES.filter(({ ops }) => ops !== undefined).flatMap(({ id, versions }) =>
    (versions.length > 0 ? versions.map((version) => `${id}@${version}`) : [id]).map((name) =>
      coverageOf(findInterface(name)),
    ),
  );
  const rows = OPERATIONS.map(({ id }, n) => [
    `\`${id}\``,
    ...all.map(({ rows: found }) => found[n]!.served.replace('nothing', '-')),
  ]);
  return markdown(['operation', ...all.map((coverage) => coverage.interface)], rows);
}

/** The entry points of its own that an interface has, version by version. */
function entryPoints(id: string): string {
  const { versions } = findInterface(id).interface;
  const names = versions.length > 0 ? versions.map((version) => `${id}@${version}`) : [id];
  const parts = names.map((name) => ownTable(coverageOf(findInterface(name))));
  return parts.join('\n\n');
}

function ownTable({ interface: name, rows, others }: Coverage): string {
  const own = rows.filter(({ served }) => served === 'own');
  if (own.length + others.length === 0)
    return `None of its own: everything is hardware's ([list](../operations.md)).`;
  const table = markdown(
    ['operation', `\`${name}\``],
    [
      ...own.map((row) => [`\`${row.id}\``, abilityText(row).replace(/^yes: /, '')]),
      ...others.map((entry) => [
        '(none)',
        `${entry.name}${entry.status ? ` (${entry.status})` : ''}`,
      ]),
    ],
  );
  return table;
}

/** With the test files that name the sub-operation, or the call. */
function callTable(id: string, calls: NonNullable<(typeof INTERFACES)[number]['calls']>): string {
  const tests = testTexts(
    id.startsWith('xen') ? /^xen.*\.test\.ts$/ : new RegExp(`^${id}/.*\\.test\\.ts$`),
  );
  const worded = calls.some(({ words }) => words !== undefined);
  const asked = programCounts(id);
  const rows = calls.map(({ number, call, sub, words, state, why }) => {
    const covering = tests.filter(({ text }) => new RegExp(`\\b${sub ?? call}\\b`).test(text));
    const names = covering.map(({ name }) => `\`${name}\``).join(' ');
    const middle = (worded ? words : sub) ?? '';
    const here = why === '' ? state : `${state}: ${why}`;
    const programs = asked && [String(asked.get(`${call} ${sub ?? ''}`) ?? '-')];
    return [String(number), call, middle, here, names || '-', ...(programs ?? [])];
  });
  const header = ['no', 'call', worded ? 'words' : 'sub-operation', 'here', 'tests'];
  return markdown([...header, ...(asked ? ['programs'] : [])], rows);
}

/** How many programs of `tests/xen` make each call, for what the real Xen has been asked; null: an interface without any. */
function programCounts(id: string): Map<string, number> | null {
  const suite = SUITES.find(({ on }) => on === id);
  if (!suite) return null;
  return new Map(
    askedRows(suite)
      .filter(({ programs }) => programs.length > 0)
      .map(({ call, sub, programs }) => [`${call} ${sub}`, programs.length]),
  );
}

/** The tests of an interface, or of its family. */
function testTexts(wanted: RegExp): { name: string; text: string }[] {
  const root = fileURLToPath(new URL('../src/hypervisors', import.meta.url));
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => wanted.test(name))
    .sort()
    .map((name) => ({ name, text: readFileSync(join(root, name), 'utf8') }));
}

function markdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), `|${'---|'.repeat(header.length)}`, ...rows.map(line)].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const stale = staleDocs(root);
  for (const { path, text } of stale) {
    writeFileSync(join(root, path), text);
    process.stdout.write(`wrote ${path}\n`);
  }
  if (stale.length === 0) process.stdout.write('every document is fresh\n');
}
