//! The `fieldtape` program: everything is in the library, see `fieldtape::cli`.

fn main() -> std::process::ExitCode {
    fieldtape::cli::main()
}
