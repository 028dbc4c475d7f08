"""Which licenses are known, and when a data set may be published."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mfsynth.publish.licenses import COCO, SampleLicense, refusal
from mfsynth.shards.manifest import LicenseCount, Manifest

CC = "creativecommons.org/licenses"


def license(name: str = "", url: str = "", id: int = 1, samples: int = 1) -> SampleLicense:
    return SampleLicense.of(LicenseCount(id, name, url, samples))


@pytest.mark.parametrize("by", ["name", "url"])
def test_cocos_table_is_known_by_name_and_by_url(by: str) -> None:
    found = [license(name) if by == "name" else license("", url) for name, url in COCO.items()]
    assert [each.limits for each in found] == [
        "no commercial use",
        "no commercial use",
        "no commercial use, no derivatives",
        "",
        "",
        "no derivatives",
        "",
        "",
    ]
    assert [each.url for each in found] == list(COCO.values())


@pytest.mark.parametrize(
    ("url", "name", "hub"),
    [
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0 1.0", "cc0-1.0"),
        (f"https://www.{CC}/by/4.0/deed.fr", "CC BY 4.0", "cc-by-4.0"),
        (f"http://{CC}/by-sa/4.0", "CC BY-SA 4.0", "cc-by-sa-4.0"),
        (f"http://{CC}/by-sa/2.0/", "CC BY-SA 2.0", ""),  # the Hub has no id for it
    ],
)
def test_free_licenses_are_known_by_their_urls(url: str, name: str, hub: str) -> None:
    found = license("whatever it is called", url)
    assert found.terms is not None
    assert (found.name, found.terms.hub, found.limits) == (name, hub, "")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("unknown", ""),
        ("BSDS500, research use", ""),
        ("Attribution License, or so", ""),
        ("Attribution License", "https://example.org/terms"),  # the URL decides
        ("", f"https://{CC}/by/"),
        ("", f"https://{CC}/sampling+/1.0/"),
        ("", f"https://example.org/{CC}/by/2.0/"),
        ("", f"https://{CC.replace('.org', '.org.example')}/by/2.0/"),
    ],
)
def test_anything_else_is_unknown_whatever_its_id(name: str, url: str) -> None:
    assert {license(name, url, id).limits for id in range(10)} == {"unknown"}


def with_licenses(manifest: Manifest, *counts: LicenseCount, **options: Any) -> Manifest:
    samples = sum(count.samples for count in counts)
    return replace(manifest, samples=samples, licenses=counts, options=manifest.options | options)


COUNTS = (
    LicenseCount(2, "Attribution-NonCommercial License", "", 30),
    LicenseCount(4, "Attribution License", "", 5),
    LicenseCount(6, "Attribution-NoDerivs License", "", 2),
    LicenseCount(8, "United States Government Work", "", 1),
    LicenseCount(11, "unknown", "", 7),
)


def test_a_refusal_counts_by_license_and_names_the_ids_that_are_free(manifest: Manifest) -> None:
    why, advice = refusal(with_licenses(manifest, *COUNTS))
    assert why == (
        "39 of 45 samples may not be published freely: 30 under CC BY-NC 2.0 (no commercial use); "
        "2 under CC BY-ND 2.0 (no derivatives); 7 under unknown (id 11) (unknown)"
    )
    assert "--licenses 4,8, or give --accept-licenses" in advice
    assert "--licenses" not in refusal(with_licenses(manifest, COUNTS[0]))[1].replace("--accept-", "")


def test_free_pictures_drawn_scenes_and_chosen_licenses_pass(manifest: Manifest) -> None:
    assert refusal(manifest) == ("", "")
    assert refusal(with_licenses(manifest, COUNTS[1], COUNTS[3])) == ("", "")
    assert refusal(with_licenses(manifest, COUNTS[1], replace(COUNTS[0], samples=0))) == ("", "")
    assert refusal(with_licenses(manifest, *COUNTS, licenses=[2, 4])) == ("", "")
