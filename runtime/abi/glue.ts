/** How glue that was imported links components; of WebAssembly's own types it needs none, which not every program has. */

/** A module that was compiled: a `WebAssembly.Module`. */
export type CompiledModule = object;

/** What a module imports, by module and name. */
export type GlueImports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** `instantiate` of jco's glue: links the core modules and gives what the component exports. */
export type Instantiate = (
  core: (name: string) => CompiledModule,
  imports: GlueImports,
  link: (module: CompiledModule, imports: GlueImports) => { readonly exports: Readonly<Record<string, unknown>> },
) => Readonly<Record<string, unknown>>;

/** Glue that was imported as modules, by the digest of its text: linking by it makes no code of text. */
export type GlueLinks = ReadonlyMap<string, Instantiate>;
