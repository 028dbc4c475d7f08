"""Where pairs come from, and what methods' texts mean."""

import pickle
import shutil

import cv2
import numpy as np
import pytest

import mfsynth
from mfsynth.errors import OptionsError, ShardError
from zoo.errors import PictureError, UnknownModelError
from zoo.evaluation.data import _opened, open_data
from zoo.evaluation.methods import CLASSIC, NETWORK, denoised, noise_of, opened, parse_methods


def picture(seed=0, height=40, width=48):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return path


# --- pairs --------------------------------------------------------------------------------------------


def test_any_folder_of_pairs_with_or_without_truth(tmp_path):
    for name, pixels in {"b-1_A.png": picture(1), "b-1_B.png": picture(2), "b-1_GT.png": picture(3)}.items():
        save(tmp_path / name, pixels)
    save(tmp_path / "x_a.PNG", picture(4))
    save(tmp_path / "x_b.png", picture(5)[..., 0])
    save(tmp_path / "lonely_A.png", picture(6))
    (tmp_path / "readme_A.txt").write_text("no picture")
    data = open_data(f"pairs:{tmp_path}")
    assert data.names == ("b-1", "x")
    assert data.incomplete == {"lonely": "its picture B is missing"}
    whole, bare = map(data.load, data.names)
    assert [np.array_equal(frame, picture(k)) for k, frame in enumerate(whole.frames, 1)] == [True, True]
    assert np.array_equal(whole.truth, picture(3))
    assert bare.truth is None
    assert np.array_equal(bare.frames[1], np.repeat(picture(5)[..., :1], 3, 2))


def test_lytro_takes_its_pairs_and_leaves_its_triples(tmp_path):
    for name in ("lytro-02-A", "lytro-02-B", "lytro-10-A", "lytro-10-B", "lytro-t01-A", "lytro-t01-B"):
        save(tmp_path / f"{name}.jpg", picture())
    data = open_data(f"lytro:{tmp_path}")
    assert data.names == ("lytro-02", "lytro-10")
    assert data.incomplete == {}


@pytest.mark.parametrize("store", ["small_pairs", "small_recipes"])
def test_shards_of_either_store(store, request):
    folder = request.getfixturevalue(store)
    data = open_data(f"shards:{folder}")
    samples = {sample.key: sample for sample in mfsynth.open(str(folder))}
    assert list(samples) == list(data.names)
    name = data.names[-1]
    pair = data.load(name)
    assert all(np.array_equal(*each) for each in zip(pair.frames, samples[name].frames, strict=True))
    assert np.array_equal(pair.focus, samples[name].focus)
    assert np.array_equal(pair.truth, samples[name].gt)


def test_a_data_set_is_opened_once_and_again_when_it_changed(small_pairs, tmp_path):
    shutil.copytree(small_pairs, tmp_path / "set")
    before = _opened.cache_info().misses
    data = open_data(f"shards:{tmp_path / 'set'}")
    first, last = data.load(data.names[0]), pickle.loads(pickle.dumps(data)).load(data.names[-1])
    assert (first.name, last.name) == (data.names[0], data.names[-1])
    assert _opened.cache_info().misses == before + 1
    manifest = tmp_path / "set" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"seed": 0', b'"seed": 1'))
    assert open_data(f"shards:{tmp_path / 'set'}").stamp != data.stamp


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lytro", "does not name any data"),
        ("zip:x", "does not name any data"),
        ("pairs:", "does not name any data"),
        ("pairs:nowhere", "there is no folder"),
    ],
)
def test_what_is_no_data_is_refused(text, said):
    with pytest.raises(OptionsError, match=said):
        open_data(text)


def test_a_folder_without_pairs_says_how_they_are_named(tmp_path):
    save(tmp_path / "one.png", picture())
    with pytest.raises(OptionsError, match="name them NAME_A, NAME_B"):
        open_data(f"pairs:{tmp_path}")
    with pytest.raises(ShardError):
        open_data(f"shards:{tmp_path}")


def test_two_files_for_one_frame_are_refused(tmp_path):
    for name in ("p_A.png", "p_B.png", "p-A.bmp"):
        save(tmp_path / name, picture())
    with pytest.raises(OptionsError, match="are both picture A"):
        open_data(f"pairs:{tmp_path}")


def test_sizes_and_depths_that_do_not_fit_name_the_files(tmp_path):
    save(tmp_path / "p_A.png", picture())
    save(tmp_path / "p_B.png", picture(width=50))
    save(tmp_path / "q_A.png", picture().astype(np.uint16) * 257)
    save(tmp_path / "q_B.png", picture())
    data = open_data(f"pairs:{tmp_path}")
    with pytest.raises(PictureError, match=r"p_A\.png is 48 x 40, .*p_B\.png is 50 x 40"):
        data.load("p")
    with pytest.raises(PictureError, match=r"q_A\.png has 16 bits"):
        data.load("q")


def test_a_pairs_hash_changes_with_any_of_its_pixels(tmp_path):
    save(tmp_path / "p_A.png", picture(1))
    save(tmp_path / "p_B.png", picture(2))
    data = open_data(f"pairs:{tmp_path}")
    before = data.load("p").digest()
    assert data.load("p").digest() == before
    changed = picture(2)
    changed[3, 4, 1] ^= 1
    save(tmp_path / "p_B.png", changed)
    assert data.load("p").digest() != before


# --- methods ------------------------------------------------------------------------------------------


def test_methods_by_their_texts(tmp_path):
    methods = parse_methods(
        ["hf-seg,dct+cv", "hf-reg+near", f"folder:theirs:{tmp_path}", "ours=hf-seg+select"]
    )
    assert [method.name for method in methods] == ["hf-seg", "dct+cv", "hf-reg+near", "theirs", "ours"]
    assert [method.base for method in methods[:3]] == ["hf-seg", "dct+cv", "hf-reg"]
    assert [method.fuses for method in methods] == [True, True, True, False, True]
    assert len({method.identity for method in methods if method.fuses}) == 4


def test_variants_do_what_they_say():
    import zoo

    frames = (picture(1), picture(2))
    near, single, blend, gff = parse_methods(["hf-reg+near,hf-seg+single,hf-seg+blend,gff"])
    model = zoo.load("hf-reg", device="cpu")
    assert np.array_equal(near.fuse(frames).image, model.fuse(frames, rule="nearest").image)
    one_pass = zoo.load("hf-seg", device="cpu").fuse(frames, symmetric=False)
    assert np.array_equal(single.fuse(frames).image, one_pass.image)
    blended = zoo.load("hf-seg", device="cpu").fuse(frames, rule="blend")
    assert np.array_equal(blend.fuse(frames).image, blended.image)
    assert gff.fuse(frames).image.shape == frames[0].shape


@pytest.mark.parametrize(
    ("kind", "name", "rules"),
    [
        (NETWORK, "hf-seg", ("weighted", "select", "blend")),
        (NETWORK, "hf-reg", ("direct", "nearest")),
        (CLASSIC, "gff", ()),
        (CLASSIC, "cnn", ()),
    ],
)
def test_methods_state_their_rules(kind, name, rules):
    method = opened(kind, name, "cpu")
    frames = (picture(1), picture(2))
    assert (method.name, method.rules) == (name, rules)
    for rule in rules:
        assert method.fuse(frames, rule=rule).image.shape == frames[0].shape


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("hf-sag", UnknownModelError, "did you mean hf-seg"),
        ("gff+near", OptionsError, "gff has no variant"),
        ("hf-seg+near", OptionsError, "hf-seg has no rule nearest; it has weighted, select and blend"),
        ("gff,gff", OptionsError, "two methods are called gff"),
        ("folder:mine", OptionsError, "write folder:NAME:DIR"),
        ("hf-reg+near+select", OptionsError, "exclude one another"),
        ("..=average", OptionsError, "is not a name"),
        ("=average", OptionsError, "is not a name"),
        ("a=average,A=gff", OptionsError, "give the same folder"),
        (" , ", OptionsError, "no methods are given"),
    ],
)
def test_what_is_no_method_is_refused(text, error, said):
    with pytest.raises(error, match=said):
        parse_methods([text])


def test_pictures_of_others_are_found_by_the_pairs_names(tmp_path):
    save(tmp_path / "in" / "p_A.png", picture(1))
    save(tmp_path / "in" / "p_B.png", picture(2))
    save(tmp_path / "theirs" / "P.png", picture(3))
    pair = open_data(f"pairs:{tmp_path / 'in'}").load("p")
    (theirs,) = parse_methods([f"folder:theirs:{tmp_path / 'theirs'}"])
    assert np.array_equal(theirs.fused(pair).image, picture(3))
    (empty,) = parse_methods([f"folder:empty:{tmp_path / 'in'}"])
    with pytest.raises(PictureError, match=r"has no picture of p; name it p\.png"):
        empty.fused(pair)


@pytest.mark.parametrize("sigma", [3.0, 10.0, 25.0])
def test_noise_is_estimated_and_taken_away(sigma):
    smooth = np.repeat(np.linspace(60, 190, 128)[None, :, None], 128, 0).repeat(3, 2)
    noisy = (smooth + np.random.default_rng(0).normal(0, sigma, smooth.shape)).round().clip(0, 255)
    noisy = noisy.astype(np.uint8)
    assert noise_of(noisy) == pytest.approx(sigma, rel=0.1)

    def error(pixels):
        return np.square(pixels - smooth).mean()

    assert error(denoised(noisy)) < 0.5 * error(noisy)


def test_colors_are_denoised_as_opencv_has_them():
    noisy = picture(3, 32, 32)
    sigma = noise_of(noisy)
    bgr = cv2.fastNlMeansDenoisingColored(np.ascontiguousarray(noisy[..., ::-1]), None, sigma, sigma)
    assert np.array_equal(denoised(noisy), bgr[..., ::-1])


def test_the_denoisers_code_is_part_of_what_its_pictures_depend_on(tmp_path):
    plain, clean = parse_methods(["gff,gff+denoise"])
    assert plain.identity != clean.identity
    assert parse_methods(["gff"], "auto")[0].identity == plain.identity


def test_a_name_that_differs_in_case_alone_must_be_the_only_one(tmp_path):
    for name in (
        "in/P_A.png",
        "in/P_B.png",
        "one/p.png",
        "both/p.png",
        "both/P.png",
        "kinds/P.png",
        "kinds/P.jpg",
    ):
        save(tmp_path / name, picture(1))
    save(tmp_path / "both/P.png", picture(2))
    pair = open_data(f"pairs:{tmp_path / 'in'}").load("P")
    one, both, kinds = parse_methods(
        [f"folder:{name}:{tmp_path / name}" for name in ("one", "both", "kinds")]
    )
    assert np.array_equal(one.fused(pair).image, picture(1))
    assert np.array_equal(both.fused(pair).image, picture(2))
    with pytest.raises(PictureError, match="both belong to P"):
        kinds.fused(pair)


def test_a_folder_with_a_comma_in_its_name(tmp_path):
    (tmp_path / "a,b").mkdir()
    assert parse_methods([f"folder:x:{tmp_path / 'a,b'}"])[0].base == str(tmp_path / "a,b")


def test_a_flat_picture_needs_no_denoising():
    flat = np.full((32, 32, 3), 77, np.uint8)
    assert np.array_equal(denoised(flat), flat)
