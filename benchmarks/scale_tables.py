"""The tables of the page on scale."""

from collections.abc import Mapping

from table_text import Figures, Show, figure_table, markdown, percent, tell, unit, whole

SCALED = {
    "resnet20": "ResNet-20, 32 x 32, ties of 10",
    "vit": "ViT-S/16, 224 x 224, ties of 4",
    "vgg_face": "VGG-Face's shape, 224 x 224, ties of 4",
}
"""The networks of the benchmark of scale, and what they are called."""

LARGE = ("vit", "vgg_face")
"""Those of them on which changes are tried there."""

CHANGES = {
    "sgd_1e-4": "one SGD step, 1e-4",
    "int8": "8-bit weights",
    "prune_5": "5 % pruned",
    "noise_1e-3": "noise, 1e-3 of each layer's spread",
    "fp16": "weights rounded to fp16",
    "mantissa": "the top mantissa bit of a weight",
    "mantissa_by_some": "the same, detected by at least one sample",
    "mantissa_reached": "the same, changes some score of the sample",
}
"""The changes, and what they are called."""

LAYOUTS = {
    "channels_last": "channels last",
    "compiled": "torch.compile",
    "bfloat16": "bfloat16",
}
"""Other ways of running a network, and what they are called."""

NETWORKS = {
    "resnet20": "ResNet-20",
    "vit": "ViT-S/16, 224 x 224",
    "vgg_face": "VGG-Face's shape, 224 x 224",
}
"""The networks, and what they are called."""


def scale_table(figures: Figures) -> str:
    """What an accepted sample costs on networks of three sizes."""
    lines: Mapping[str, tuple[str, Show]] = {
        "images": ("natural images", whole),
        "accepted_share": ("accepted", percent),
        "forward_equivalents": ("forward passes for an accepted sample", whole),
        "legacy_forward_equivalents": ("the published loop's", whole),
        "backward_cost": ("a backward pass, in forward passes", unit("")),
        "seconds": ("seconds for an accepted sample", unit("s")),
        "legacy_seconds": ("the published loop's", unit("s")),
        "seconds_ratio_cpu": ("times faster", unit("")),
        "lean_legacy_seconds": ("seconds of that loop without its unused gradients", unit("s")),
        "lean_seconds_ratio_cpu": ("times faster than that", unit("")),
        "psnr_median_db": ("PSNR, median", unit("dB")),
        "gflops": ("operations", unit("GFLOP/s")),
    }
    rows = [
        (text, *(tell(figures, f"scale.{network}.{key}", show) for network in SCALED))
        for key, (text, show) in lines.items()
    ]
    return markdown(("what", *SCALED.values()), rows)


def machine_table(figures: Figures) -> str:
    """Memory, and how much of the machine is used."""
    return figure_table(
        figures,
        {
            "scale.vgg_face.peak_gb": ("peak memory for sealing VGG-Face's shape", unit("GB")),
            "scale.peak_gflops": ("the machine's measured peak", unit("GFLOP/s")),
            "scale.peak_share": ("share of it reached while making samples", percent),
            "scale.vgg_face.forward_share": ("share reached by a forward pass", percent),
        },
    )


def layouts_table(figures: Figures) -> str:
    """Whether other ways of running a network are faster."""
    rows = [
        (text, *(tell(figures, f"scale.{network}.faster.{way}", unit("")) for network in LARGE))
        for way, text in LAYOUTS.items()
    ]
    moves = (tell(figures, f"scale.{network}.bfloat16_move", unit("")) for network in LARGE)
    margins = (tell(figures, f"scale.{network}.margin_median", unit("")) for network in LARGE)
    rows += [("bfloat16 moves a score by", *moves), ("margin, median", *margins)]
    return markdown(("times faster", *(SCALED[name] for name in LARGE)), rows)


def rows_table(figures: Figures) -> str:
    """What single samples of large networks detect."""
    sizes = [
        tell(figures, f"scale.{network}.detection_{kind}", whole)
        for network in LARGE
        for kind in ("samples", "naturals")
    ]
    work = [
        tell(figures, f"scale.{network}.detection_work", show)
        for network in LARGE
        for show in (whole, lambda _: "0")  # natural images cost nothing
    ]
    rows: list[tuple[str, ...]] = [
        ("number of samples", *sizes),
        ("forward passes for each, a backward pass counting two", *work),
    ]
    for key, text in CHANGES.items():
        shares = [
            tell(figures, f"scale.{network}.detection.{kind}{key}", percent)
            for network in LARGE
            for kind in ("", "natural.")
        ]
        rows.append((text, *shares))
    head = [text for name in LARGE for text in (NETWORKS[name], "natural images")]
    return markdown(("change", *head), rows)
