/**
 * A model of the hub as a folder: its small files are fetched when they are opened, of its weights only what is asked for.
 * What is there is never fetched again, and nothing is asked of the hub when all is there.
 */
import { FoveaError } from "../core/diagnostics.ts";
import { type ByteSource, memorySource } from "../exec/weights/byte_source.ts";
import type { CheckpointFiles } from "../exec/weights/checkpoint_files.ts";
import { readSafetensorsHeader } from "../exec/weights/safetensors.ts";
import { INDEX_FILE, readIndex, SINGLE_FILE } from "../exec/weights/weight_index.ts";
import { assemble, type DownloadContext, type Piece } from "./download.ts";
import { FIRST_WAIT } from "./hub_fetch.ts";
import type { HubFilesOptions, Select } from "./hub_options.ts";
import { type HeldWeights, type Manifest, newManifest, OWN_FOLDER, readManifest, saveManifest } from "./manifest.ts";
import { PARTIAL } from "./partial_file.ts";
import { isWeightFile, remoteHeader, remoteSource, weightFiles, wholeSource } from "./remote_weights.ts";
import { identityOf, type Listing, openRepository, type RemoteFile, type Repository } from "./repository.ts";
import { type PlannedWeights, planWeights } from "./weight_plan.ts";

interface RemotePlaces {
  /** Files by tensor. */
  readonly places: ReadonlyMap<string, string>;
  readonly headers: Map<string, Awaited<ReturnType<typeof remoteHeader>>>;
}

export class HubFiles implements CheckpointFiles {
  readonly description: string;
  readonly #options: HubFilesOptions;
  readonly #repository: Repository;
  readonly #firstWait: number;
  #manifest: Promise<Manifest> | undefined;
  /** Files that are being fetched, so that overlapping calls fetch once. */
  readonly #fetching = new Map<string, Promise<void>>();
  #done = 0;
  #total = 0;
  #fetched = 0;

  constructor(options: HubFilesOptions) {
    this.#options = options;
    this.#firstWait = options.firstWait ?? FIRST_WAIT;
    this.description = options.reference.text;
    this.#repository = openRepository(options.reference, options.access, {
      firstWait: this.#firstWait,
      signal: options.signal,
    });
  }

  /** Where the model is kept. */
  get folder(): string | undefined {
    return this.#options.folder;
  }

  /** Bytes that came over the network into files. */
  get fetchedBytes(): number {
    return this.#fetched;
  }

  /** The manifest as it stands. */
  async manifest(): Promise<Manifest> {
    this.#manifest ??= this.#start().catch((error: unknown) => {
      this.#manifest = undefined;
      throw error;
    });
    return this.#manifest;
  }

  async #start(): Promise<Manifest> {
    return (await this.#known()) ?? this.#list(undefined);
  }

  /** @throws FoveaError `folder_in_use` */
  async #known(): Promise<Manifest | undefined> {
    const { host, folder, reference } = this.#options;
    const known = folder === undefined ? undefined : await readManifest(host, folder);
    if (known === undefined || known.repository === reference.repository) return known;
    throw new FoveaError(
      "folder_in_use",
      `${folder} holds the model ${known.repository}; ${reference.text} needs a folder of its own.`,
    );
  }

  /** Asks the hub for the revision's newest commit; files that are the same in it stay. */
  async refresh(): Promise<void> {
    this.#manifest = this.#list(await this.#known());
    await this.#manifest;
  }

  async #list(known: Manifest | undefined): Promise<Manifest> {
    const { folder, host, reference } = this.#options;
    this.#checkOnline(`${reference.text} was not pulled${folder === undefined ? "" : ` into ${folder}`}`);
    const { commit, files } = await this.#repository.list();
    const { repository, revision } = reference;
    const made = newManifest({ repository, revision, commit, listing: files, files: {}, weights: {} });
    if (folder === undefined) return made;
    const now = new Map(files.map((f) => [f.name, identityOf(f)]));
    const keeps = known ?? made;
    const manifest: Manifest = {
      ...made,
      files: keep(keeps.files, (name, f) => now.get(name) === f.identity),
      weights: keep(keeps.weights, (_, w) => now.get(w.source) === w.sourceIdentity),
    };
    await saveManifest(host, folder, manifest);
    if (known !== undefined && known.commit !== commit) await this.#clear(folder, keeps, manifest);
    return manifest;
  }

  /** Deletes what belonged to the commit before. */
  async #clear(folder: string, before: Manifest, now: Manifest): Promise<void> {
    const { host } = this.#options;
    for (const name of [...Object.keys(before.files), ...Object.keys(before.weights)]) {
      if (!(name in now.files) && !(name in now.weights)) await host.remove(`${folder}/${name}`);
    }
    for (const { name } of await host.listDir(`${folder}/${OWN_FOLDER}`)) {
      if (name.endsWith(PARTIAL)) await host.remove(`${folder}/${OWN_FOLDER}/${name}`);
    }
  }

  async list(): Promise<readonly string[]> {
    const { listing, weights } = await this.manifest();
    const names = listing.map((f) => f.name);
    if (this.#options.folder === undefined) return names;
    const own = Object.keys(weights);
    const index = own.length > 0 && !own.includes(SINGLE_FILE) ? [INDEX_FILE] : [];
    return [...names.filter((name) => !isWeightFile(name)), ...own, ...index].sort();
  }

  async open(name: string): Promise<ByteSource> {
    const { folder } = this.#options;
    const { commit, listing, weights } = await this.manifest();
    const entry = listing.find((f) => f.name === name);
    if (folder !== undefined && name in weights) return this.#openLocal(folder, name);
    // Made anew: another process may be adding its tensors to the one in the folder.
    if (folder !== undefined && name === INDEX_FILE) return memorySource(name, await this.#indexOf(folder));
    if (entry === undefined) {
      throw new FoveaError("file.not_found", `${this.description} has no file "${name}" at commit ${commit}.`);
    }
    if (folder === undefined) return this.#openRemote(commit, entry);
    await this.#once(name, () => this.#fetchFile(folder, entry));
    return this.#openLocal(folder, name);
  }

  #remote(commit: string, entry: RemoteFile): ByteSource {
    return remoteSource(this.#repository, commit, entry, this.description);
  }

  /** Weights are read in ranges; other files are small, and checked. */
  async #openRemote(commit: string, entry: RemoteFile): Promise<ByteSource> {
    const source = this.#remote(commit, entry);
    return isWeightFile(entry.name) && entry.name !== INDEX_FILE
      ? source
      : wholeSource(this.#options.host, source, entry);
  }

  /** Fetches a file into the folder if it is not there. */
  async fetch(name: string): Promise<void> {
    await (await this.open(name)).close();
  }

  async #openLocal(folder: string, name: string): Promise<ByteSource> {
    const path = `${folder}/${name}`;
    const file = await this.#options.host.openFile(path);
    return {
      name: path,
      size: file.size,
      read: (into, position) => file.read(into, position),
      close: () => file.close(),
    };
  }

  async #once(name: string, run: () => Promise<void>): Promise<void> {
    let pending = this.#fetching.get(name);
    if (pending === undefined) {
      pending = run().finally(() => this.#fetching.delete(name));
      this.#fetching.set(name, pending);
    }
    return pending;
  }

  async #fetchFile(folder: string, entry: RemoteFile): Promise<void> {
    const identity = identityOf(entry);
    const held = (await this.manifest()).files[entry.name];
    if (held?.identity === identity && (await this.#isThere(folder, entry.name, entry.size))) return;
    this.#checkOnline(`${entry.name} of ${this.description} was not pulled into ${folder}`);
    await this.#assemble(folder, {
      name: entry.name,
      identity,
      size: entry.size,
      pieces: [{ file: entry, from: 0, to: entry.size }],
      digestOf: entry,
    });
    await this.#record((m) => ({ ...m, files: { ...m.files, [entry.name]: { size: entry.size, identity } } }));
  }

  /**
   * Fetches the tensors that `select` wants into the folder, if they are not there.
   * @throws FoveaError `hub.offline`, `no_checkpoint`, `missing_tensor` and those of requests and files
   */
  async prepare(select: Select): Promise<void> {
    const { folder } = this.#options;
    if (folder === undefined) return;
    const held = await this.#heldWeights(folder);
    const local = select(new Set(held.keys()));
    if (held.size > 0 && local.missing.length === 0) return;
    this.#checkOnline(
      held.size === 0
        ? `The weights of ${this.description} were not pulled into ${folder}`
        : `${local.missing.length} tensors of ${this.description}, such as "${local.missing[0]}", were not pulled into ${folder}`,
    );
    const plans = await this.#planWeights(held, select);
    for (const plan of plans) this.#total += plan.size;
    for (const plan of plans) {
      this.#total -= plan.size;
      await this.#assemble(folder, plan.whole ? { ...plan, digestOf: plan.source } : plan);
      const { name, size, identity, source } = plan;
      const weights: HeldWeights = { size, identity, source: source.name, sourceIdentity: identityOf(source) };
      await this.#record((m) => ({ ...m, weights: { ...m.weights, [name]: weights } }));
    }
    await this.#writeIndex(folder);
  }

  /** Of weights that were not pulled, those of the hub, where it can be asked. */
  async tensorNames(): Promise<ReadonlySet<string> | undefined> {
    const { folder, offline } = this.#options;
    const held = folder === undefined ? new Map<string, string>() : await this.#heldWeights(folder);
    if (held.size > 0) return new Set(held.keys());
    if (offline) return undefined;
    // What is wrong with weights is told by those who fetch them.
    const found = await this.#remotePlaces(await this.manifest()).catch(() => undefined);
    return found === undefined ? undefined : new Set(found.places.keys());
  }

  /** Tensors in the folder, and the remote files that they came from; files that are gone or cut are forgotten. */
  async #heldWeights(folder: string): Promise<ReadonlyMap<string, string>> {
    const tensors = new Map<string, string>();
    for (const [name, { size, source }] of Object.entries((await this.manifest()).weights)) {
      if (await this.#isThere(folder, name, size)) {
        for (const tensor of await this.#localTensors(folder, name)) tensors.set(tensor, source);
      } else {
        await this.#record((m) => ({ ...m, weights: keep(m.weights, (other) => other !== name) }));
      }
    }
    return tensors;
  }

  async #localTensors(folder: string, name: string): Promise<readonly string[]> {
    const file = await this.#openLocal(folder, name);
    try {
      return [...(await readSafetensorsHeader(file)).tensors.keys()];
    } finally {
      await file.close();
    }
  }

  /** What is to be fetched beside the tensors that are there. */
  async #planWeights(held: ReadonlyMap<string, string>, select: Select): Promise<readonly PlannedWeights[]> {
    const listing = await this.manifest();
    const where = this.description;
    const { places, headers } = await this.#remotePlaces(listing);
    const { wanted, missing } = select(new Set(places.keys()));
    if (missing.length > 0) {
      throw new FoveaError(
        "missing_tensor",
        `${missing.length} tensors that the configuration of ${where} calls for are not in its weights, such as "${missing[0]}". The configuration and the weights belong to different models.`,
      );
    }
    const plans: PlannedWeights[] = [];
    const absent = wanted.filter((name) => !held.has(name));
    for (const file of [...new Set(absent.map((name) => places.get(name) as string))].sort()) {
      const own = absent.filter((name) => places.get(name) === file);
      const header = headers.get(file) ?? (await this.#header(listing, file));
      const lost = own.find((name) => !header.tensors.has(name));
      if (lost !== undefined) {
        throw new FoveaError(
          "missing_tensor",
          `${INDEX_FILE} of ${where} places tensor "${lost}" in ${file}, which does not hold it. Index and files belong to different versions.`,
        );
      }
      const source = listing.listing.find((f) => f.name === file) as RemoteFile;
      plans.push(planWeights(source, header, own, ![...held.values()].includes(file)));
    }
    return plans;
  }

  /** Which remote file holds a tensor, and the headers that were read for that. */
  async #remotePlaces(listing: Manifest): Promise<RemotePlaces> {
    const files = weightFiles(listing.listing, this.description);
    const remote = files === "indexed" ? await this.#readRemoteIndex(listing) : undefined;
    const headers = new Map<string, Awaited<ReturnType<typeof remoteHeader>>>();
    const places = new Map<string, string>(remote ?? []);
    for (const file of files === "indexed" ? [] : files) {
      const header = await this.#header(listing, file.name);
      headers.set(file.name, header);
      for (const tensor of header.tensors.keys()) places.set(tensor, file.name);
    }
    return { places, headers };
  }

  #header(listing: Manifest, name: string): ReturnType<typeof remoteHeader> {
    const file = listing.listing.find((f) => f.name === name);
    if (file !== undefined) return remoteHeader(this.#repository, toListing(listing), file, this.description);
    throw new FoveaError(
      "missing_shard",
      `The weights of ${this.description} are incomplete: ${INDEX_FILE} names "${name}", which is not there. Choose another revision.`,
    );
  }

  /** Read only: the folder's own index names the files that are here. */
  async #readRemoteIndex(listing: Manifest): Promise<ReadonlyMap<string, string>> {
    const entry = listing.listing.find((f) => f.name === INDEX_FILE) as RemoteFile;
    return readIndex(await wholeSource(this.#options.host, this.#remote(listing.commit, entry), entry));
  }

  /** The folder's own index, for those who load it by its path; a model of one whole file needs none. */
  async #writeIndex(folder: string): Promise<void> {
    if (SINGLE_FILE in (await this.manifest()).weights) return;
    await this.#options.host.writeFileAtomic(`${folder}/${INDEX_FILE}`, await this.#indexOf(folder));
  }

  async #indexOf(folder: string): Promise<Uint8Array> {
    const { weights } = await this.manifest();
    const map: Record<string, string> = {};
    let total = 0;
    for (const name of Object.keys(weights)) {
      total += weights[name].size;
      for (const tensor of await this.#localTensors(folder, name)) map[tensor] = name;
    }
    const index = { metadata: { total_size: total }, weight_map: map };
    return new TextEncoder().encode(`${JSON.stringify(index, undefined, 2)}\n`);
  }

  async #assemble(
    folder: string,
    part: {
      readonly name: string;
      readonly identity: string;
      readonly size: number;
      readonly pieces: readonly Piece[];
      readonly digestOf?: RemoteFile;
    },
  ): Promise<void> {
    const { host, signal, onProgress } = this.#options;
    const path = `${folder}/${part.name}`;
    await host.mkdir(path.slice(0, path.lastIndexOf("/")));
    await host.mkdir(`${folder}/${OWN_FOLDER}`);
    this.#total += part.size;
    const before = this.#done;
    const tell = (): void => onProgress?.({ done: this.#done, total: this.#total, file: part.name });
    tell();
    const context: DownloadContext = {
      host,
      signal,
      firstWait: this.#firstWait,
      repository: this.#repository,
      commit: (await this.manifest()).commit,
      onBytes: (count, old) => {
        this.#done += count;
        if (!old) this.#fetched += count;
        tell();
      },
    };
    const content = `${part.name.replaceAll("/", "--")}.${part.identity.slice(0, 16)}`;
    await assemble({ ...part, path, unfinished: `${folder}/${OWN_FOLDER}`, content }, context);
    this.#done = before + part.size;
    tell();
  }

  async #isThere(folder: string, name: string, size: number): Promise<boolean> {
    const found = await this.#options.host.stat(`${folder}/${name}`).catch(() => undefined);
    return found?.kind === "file" && found.size === size;
  }

  /** Changes the manifest, on top of what another process may have recorded meanwhile. */
  async #record(change: (manifest: Manifest) => Manifest): Promise<void> {
    const { host, folder } = this.#options;
    if (folder === undefined) return;
    const own = await this.manifest();
    const saved = await readManifest(host, folder);
    const manifest = change(saved?.commit === own.commit ? saved : own);
    this.#manifest = Promise.resolve(manifest);
    await saveManifest(host, folder, manifest);
  }

  /** @throws FoveaError `hub.offline` */
  #checkOnline(lack: string): void {
    if (!this.#options.offline) return;
    const { text } = this.#options.reference;
    throw new FoveaError(
      "hub.offline",
      `${lack}, and --offline (\`hub.offline\`) forbids to fetch it. Run \`fovea pull ${text}\` once with a network.`,
    );
  }
}

const toListing = ({ commit, listing }: Manifest): Listing => ({ commit, files: listing });

function keep<T>(
  record: Readonly<Record<string, T>>,
  holds: (name: string, value: T) => boolean,
): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(record).filter(([name, value]) => holds(name, value)));
}
