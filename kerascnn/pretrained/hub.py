"""Published weights by name from the Hugging Face hub."""

import logging
from pathlib import Path

from kerascnn.errors import InputError, UsageError, reason_of
from kerascnn.pretrained.names import KERAS, TORCH
from kerascnn.pretrained.readers import sha256

logger = logging.getLogger(__name__)

# On the hub, as timm publishes them; timm's older SENets are not there.
HUB = {
    **{f"resnet{n}": f"timm/resnet{n}.tv_in1k" for n in (18, 34)},
    **{f"resnet{n}_v1_5": f"timm/resnet{n}.tv_in1k" for n in (50, 101, 152)},
    **{f"vgg{n}{bn}": f"timm/vgg{n}{bn}.tv_in1k" for n in (11, 13, 16, 19) for bn in ("", "_bn")},
    "inception_v4": "timm/inception_v4.tf_in1k",
}


def fetch(name):
    """The path of the published weights of `name` from the hub or its cache; logs licence and checksum.

    Raises UsageError when the hub has none or its client is not installed, InputError when it cannot be reached.
    """
    if name not in HUB:
        advice = "give a file, or one of" if name in TORCH or name in KERAS else "there are those of"
        words = f"model {name} has no weights on the hub that are known"
        raise UsageError(f"{words}; {advice} {', '.join(sorted(HUB))}", argument="model")
    repository, file = HUB[name], "model.safetensors"
    try:
        import huggingface_hub as hub
    except ImportError:
        raise UsageError(
            "file is None, and fetching weights needs the package huggingface_hub; run pip install huggingface_hub, "
            f"or give {file} of {repository} on the hub"
        ) from None
    address = hub.hf_hub_url(repository, file)
    try:
        # Asked first, since it alone does not try again for half a minute where there is no network.
        expected = hub.get_hf_file_metadata(address).etag
        path = hub.hf_hub_download(repository, file)
        licence = (hub.model_info(repository).card_data or {}).get("license", "not stated")
    # every kind of error of the client, its HTTP library and the network below it
    except Exception as error:
        path = hub.try_to_load_from_cache(repository, file)
        if not isinstance(path, str):
            reason = reason_of(error)
            raise InputError(
                f"cannot fetch {file} of {repository} ({reason}); "
                f"download {address} where there is a network and give that file"
            ) from None
        # The cache names its files by the checksums that the hub told, where the system has links.
        expected, licence = Path(path).resolve().name, "as when it was fetched"
    digest = sha256(path)
    if expected not in (digest, file):
        raise InputError(f"{path} is damaged (SHA-256 {digest}, the hub says {expected}); delete it and fetch it again")
    logger.warning("%s: licence %s, SHA-256 %s", repository, licence, digest)
    return Path(path)
