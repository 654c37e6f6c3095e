"""`modelseal inspect`: shows what a fingerprint is for and how it was made."""

import modelseal as ms
from modelseal.cli.options import FingerprintFile, ImageFolder, JsonFile, KeyFile, PassphraseFile


def inspect(
    fingerprint: FingerprintFile,
    *,
    images: ImageFolder = None,
    json: JsonFile = None,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Show what a fingerprint is for and how it was made; the samples only when asked."""
    from modelseal.cli.console import Paper, complain
    from modelseal.cli.fingerprint_files import (
        STANDARD_OUTPUT,
        check_document,
        emit,
        read_fingerprint,
    )
    from modelseal.cli.render import show_inspection

    check_document(json, inputs=[each for each in (fingerprint, key, passphrase_file) if each])
    sealed = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    if images is not None:
        files = ms.write_images(images, sealed.samples, sealed.domain)
        complain(f"{len(files)} samples are in {images}; they are secret, as the fingerprint is")
    if json != STANDARD_OUTPUT:
        show_inspection(Paper(), sealed)
    if json is not None:
        emit(ms.inspect(sealed), json)
