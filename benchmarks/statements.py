"""Networks without a package to compare with, stated in PyTorch from the tables of their papers.

A module's path, with underscores for dots, is the name of our layer that gets its weights: `stage1_block1.conv1` goes
to `stage1_block1_conv1`. Needs PyTorch alone; knows nothing of kerascnn.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Chain(nn.Sequential):
    """One module after the other, each under its name."""

    def __init__(self, **modules):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


def conv(name, *arguments, act=nn.ReLU, **more):
    return {name: nn.Conv2d(*arguments, **more), f"{name}_act": act()}


def dense(name, inputs, outputs, act=nn.ReLU):
    return {name: nn.Linear(inputs, outputs), f"{name}_act": act()}


def alexnet(groups=2):
    """Krizhevsky et al. 2012, section 3.5 and figure 2. PyTorch divides alpha by the five neighbours."""
    norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
    return Chain(
        **conv("conv1", 3, 96, 11, stride=4),
        norm1=norm,
        pool1=nn.MaxPool2d(3, 2),
        **conv("conv2", 96, 256, 5, padding=2, groups=groups),
        norm2=norm,
        pool2=nn.MaxPool2d(3, 2),
        **conv("conv3", 256, 384, 3, padding=1),
        **conv("conv4", 384, 384, 3, padding=1, groups=groups),
        **conv("conv5", 384, 256, 3, padding=1, groups=groups),
        pool5=nn.MaxPool2d(3, 2),
        flatten=nn.Flatten(),
        **dense("fc6", 256 * 6 * 6, 4096),
        **dense("embedding", 4096, 4096),
        logits=nn.Linear(4096, 1000),
    )


def zfnet():
    """Zeiler & Fergus 2013, figure 3: 110, 55, 26, 13, 13, 13, 6 pixels; the constants of AlexNet's normalization."""
    norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
    return Chain(
        **conv("conv1", 3, 96, 7, stride=2, padding=1),
        pool1=nn.MaxPool2d(3, 2, ceil_mode=True),
        norm1=norm,
        **conv("conv2", 96, 256, 5, stride=2),
        pool2=nn.MaxPool2d(3, 2, ceil_mode=True),
        norm2=norm,
        **conv("conv3", 256, 384, 3, padding=1),
        **conv("conv4", 384, 384, 3, padding=1),
        **conv("conv5", 384, 256, 3, padding=1),
        pool5=nn.MaxPool2d(3, 2),
        flatten=nn.Flatten(),
        **dense("fc6", 256 * 6 * 6, 4096),
        **dense("embedding", 4096, 4096),
        logits=nn.Linear(4096, 1000),
    )


def vgg16c():
    """Simonyan & Zisserman 2014, table 1, column C."""
    layers, inputs = {}, 3
    for stage, column in enumerate(("3-64 3-64", "3-128 3-128", *["3-{0} 3-{0} 1-{0}"] * 3), 1):
        for i, entry in enumerate(column.format(256 if stage == 3 else 512).split(), 1):
            size, filters = map(int, entry.split("-"))
            layers |= conv(f"stage{stage}_conv{i}", inputs, filters, size, padding=size // 2)
            inputs = filters
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
    return Chain(
        **layers,
        flatten=nn.Flatten(),
        **dense("fc1", 512 * 7 * 7, 4096),
        **dense("embedding", 4096, 4096),
        logits=nn.Linear(4096, 1000),
    )


class Inception(nn.Module):
    """Szegedy et al. 2014, figure 2b; the numbers are the last columns of table 1."""

    def __init__(self, inputs, one, reduce3, three, reduce5, five, project):
        super().__init__()
        self.branches = (
            Chain(**conv("1x1", inputs, one, 1)),
            Chain(**conv("3x3_reduce", inputs, reduce3, 1), **conv("3x3", reduce3, three, 3, padding=1)),
            Chain(**conv("5x5_reduce", inputs, reduce5, 1), **conv("5x5", reduce5, five, 5, padding=2)),
            Chain(pool=nn.MaxPool2d(3, 1, padding=1), **conv("project", inputs, project, 1)),
        )
        for branch in self.branches:
            for name, module in branch.named_children():
                self.add_module(name, module)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


class GoogLeNet(Chain):
    """Szegedy et al. 2014, table 1; heads (section 5) on 4a and 4d. Constants of normalization as in BVLC's Caffe."""

    def __init__(self, heads):
        def pool():
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        def norm():
            return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1)

        super().__init__(
            **conv("conv1", 3, 64, 7, stride=2, padding=3),
            pool1=pool(),
            norm1=norm(),
            **conv("conv2_reduce", 64, 64, 1),
            **conv("conv2", 64, 192, 3, padding=1),
            norm2=norm(),
            pool2=pool(),
            inception3a=Inception(192, 64, 96, 128, 16, 32, 32),
            inception3b=Inception(256, 128, 128, 192, 32, 96, 64),
            pool3=pool(),
            inception4a=Inception(480, 192, 96, 208, 16, 48, 64),
            inception4b=Inception(512, 160, 112, 224, 24, 64, 64),
            inception4c=Inception(512, 128, 128, 256, 24, 64, 64),
            inception4d=Inception(512, 112, 144, 288, 32, 64, 64),
            inception4e=Inception(528, 256, 160, 320, 32, 128, 128),
            pool4=pool(),
            inception5a=Inception(832, 256, 160, 320, 32, 128, 128),
            inception5b=Inception(832, 384, 192, 384, 48, 128, 128),
            average=nn.AvgPool2d(7),
            flatten=nn.Flatten(),
            logits=nn.Linear(1024, 1000),
        )
        self.trunk = list(self.named_children())
        self.heads = {"inception4a": ("aux1", 512), "inception4d": ("aux2", 528)} if heads else {}
        for head, inputs in self.heads.values():
            self.add_module(
                head,
                Chain(
                    pool=nn.AvgPool2d(5, 3),
                    **conv("conv", inputs, 128, 1),
                    flatten=nn.Flatten(),
                    **dense("fc", 128 * 4 * 4, 1024),
                    logits=nn.Linear(1024, 1000),
                ),
            )

    def forward(self, x):
        outputs = {}
        for name, module in self.trunk:
            x = module(x)
            if name in self.heads:
                head, _ = self.heads[name]
                outputs[f"{head}_logits"] = self.get_submodule(head)(x)
        return {"logits": x, **outputs}


class SqueezeExcitation(nn.Module):
    """Hu et al. 2017, section 3, with reduction 16."""

    def __init__(self, channels):
        super().__init__()
        self.reduce, self.excite = nn.Linear(channels, channels // 16), nn.Linear(channels // 16, channels)

    def forward(self, x):
        scale = torch.sigmoid(self.excite(F.relu(self.reduce(x.mean((2, 3))))))
        return x * scale[:, :, None, None]


class Block(nn.Module):
    """He et al. 2015, figure 2; shortcut "A" and "B" as in section 3.3, None for a plain network."""

    def __init__(self, inputs, filters, stride, shortcut, excited):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, padding=1, bias=False)
        self.conv1_bn = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.conv2_bn = nn.BatchNorm2d(filters)
        self.se = SqueezeExcitation(filters) if excited else nn.Identity()
        self.stride, self.new, self.shortcut = stride, filters - inputs, shortcut
        if shortcut == "B" and self.new:
            self.project = nn.Conv2d(inputs, filters, 1, stride, bias=False)
            self.project_bn = nn.BatchNorm2d(filters)

    def forward(self, x):
        y = F.relu(self.conv1_bn(self.conv1(x)))
        y = self.se(self.conv2_bn(self.conv2(y)))
        if self.shortcut is None:
            return F.relu(y)
        if self.new and self.shortcut == "A":
            half = torch.zeros_like(x[:, : self.new // 2, :: self.stride, :: self.stride])
            x = torch.cat([half, x[:, :, :: self.stride, :: self.stride], half], 1)
        elif self.new:
            x = self.project_bn(self.project(x))
        return F.relu(x + y)


def residual(stem, widths, blocks, classes, shortcut, excited=False):
    """He et al. 2015, table 1 and section 4.2: stages of blocks, all but the first halving height and width."""
    stages, inputs = {}, widths[0]
    for stage, filters in enumerate(widths, 1):
        for i in range(1, blocks + 1):
            stages[f"stage{stage}_block{i}"] = Block(
                inputs, filters, 2 if stage > 1 and i == 1 else 1, shortcut, excited
            )
            inputs = filters
    return Chain(
        **stem, **stages, average=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), logits=nn.Linear(inputs, classes)
    )


def cifar20(shortcut, excited=False):
    """6n + 2 layers with n = 3."""
    stem = {"stem_conv": nn.Conv2d(3, 16, 3, padding=1, bias=False), "stem_conv_bn": nn.BatchNorm2d(16)}
    return residual({**stem, "relu": nn.ReLU()}, (16, 32, 64), 3, 10, shortcut, excited)


def imagenet18(shortcut, pool, excited=False):
    stem = {"stem_conv": nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), "stem_conv_bn": nn.BatchNorm2d(64)}
    return residual({**stem, "relu": nn.ReLU(), "pool": pool}, (64, 128, 256, 512), 2, 1000, shortcut, excited)


class UNet(nn.Module):
    """Ronneberger et al. 2015, figure 1, whose skipped feature maps come first where they are joined.

    Up-convolutions of 3×3 (Dong et al. 2017) double the sides as in TensorFlow, theirs: what is over is cut off at the
    right and below.
    """

    def __init__(self, inputs, outputs, width=64, up=2, padding=1, norm=False, skip_first=True):
        super().__init__()
        self.skip_first = skip_first

        def two(before, filters):
            layers = {}
            for i, channels in ((1, before), (2, filters)):
                layers[f"conv{i}"] = nn.Conv2d(channels, filters, 3, padding=padding, bias=not norm)
                layers[f"conv{i}_bn"] = nn.BatchNorm2d(filters) if norm else nn.Identity()
                layers[f"relu{i}"] = nn.ReLU()
            return Chain(**layers)

        for level in range(1, 5):
            filters = width * 2 ** (level - 1)
            self.add_module(f"encoder{level}", two(inputs if level == 1 else filters // 2, filters))
            self.add_module(f"decoder{level}_up", nn.ConvTranspose2d(2 * filters, filters, up, 2))
            self.add_module(f"decoder{level}", two(2 * filters, filters))
        self.bottom = two(8 * width, 16 * width)
        self.logits = nn.Conv2d(width, outputs, 1)

    def forward(self, x):
        before = []
        for level in range(1, 5):
            before.append(self.get_submodule(f"encoder{level}")(x))
            x = F.max_pool2d(before[-1], 2)
        x = self.bottom(x)
        for level in range(4, 0, -1):
            side = 2 * x.shape[-1]
            x = self.get_submodule(f"decoder{level}_up")(x)[:, :, :side, :side]
            skip = before.pop()
            margin = (skip.shape[-1] - side) // 2
            skip = skip[:, :, margin : margin + side, margin : margin + side]
            x = self.get_submodule(f"decoder{level}")(torch.cat([skip, x] if self.skip_first else [x, skip], 1))
        return self.logits(x)


def lenet5():
    """LeCun et al. 1998, figure 2, with tanh, plain averages and all of S2 for every map of C3."""
    return Chain(
        pad=nn.ZeroPad2d(2),
        **conv("c1", 1, 6, 5, act=nn.Tanh),
        s2=nn.AvgPool2d(2),
        **conv("c3", 6, 16, 5, act=nn.Tanh),
        s4=nn.AvgPool2d(2),
        **conv("c5", 16, 120, 5, act=nn.Tanh),
        flatten=nn.Flatten(),
        **dense("embedding", 120, 84, act=nn.Tanh),
        logits=nn.Linear(84, 10),
    )


def lenet_homework():
    """Valid 5×5 convolutions with 8 and 16 filters on colour images, maxima and ReLU."""
    return Chain(
        **conv("c1", 3, 8, 5),
        s2=nn.MaxPool2d(2),
        **conv("c3", 8, 16, 5),
        s4=nn.MaxPool2d(2),
        **conv("c5", 16, 120, 5),
        flatten=nn.Flatten(),
        **dense("embedding", 120, 84),
        logits=nn.Linear(84, 10),
    )


class Squash(nn.Module):
    """LeCun et al. 1998, appendix A."""

    def forward(self, x):
        return 1.7159 * torch.tanh(2 * x / 3)


class Subsampling(nn.Module):
    """Section II.B, S2: four inputs are added, multiplied by a coefficient, and a bias is added."""

    def __init__(self, channels):
        super().__init__()
        self.coefficient = nn.Parameter(0.25 + 0.1 * torch.randn(channels))
        self.bias = nn.Parameter(0.1 * torch.randn(channels))

    def forward(self, x):
        total = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
        return self.coefficient[:, None, None] * total + self.bias[:, None, None]


class TableConvolution(nn.Module):
    """Section II.B, C3, with table I: a row for each map of S2, a column for each map of C3.

    Kernels are kept channel of C3 by channel of C3, and within one in the order of the channels of S2.
    """

    TABLE = """
    X...XXX..XXXX.XX
    XX...XXX..XXXX.X
    XXX...XXX..X.XXX
    .XXX..XXXX..X.XX
    ..XXX..XXXX.XX.X
    ...XXX..XXXX.XXX
    """

    def __init__(self):
        super().__init__()
        columns = zip(*self.TABLE.split(), strict=True)
        self.seen = [[row for row, cross in enumerate(column) if cross == "X"] for column in columns]
        self.weight = nn.Parameter(0.1 * torch.randn(sum(map(len, self.seen)), 1, 5, 5))
        self.bias = nn.Parameter(0.1 * torch.randn(16))

    def forward(self, x):
        kernels = self.weight.squeeze(1).split([len(rows) for rows in self.seen])
        channels = [F.conv2d(x[:, rows], kernel[None]) for rows, kernel in zip(self.seen, kernels, strict=True)]
        return torch.cat(channels, 1) + self.bias[:, None, None]


class CodeDistance(nn.Module):
    """Equation 7 with its sign turned; the codes are random here, since any will do."""

    def __init__(self):
        super().__init__()
        self.register_buffer("codes", torch.randint(0, 2, (10, 84)) * 2.0 - 1)

    def forward(self, x):
        return -torch.stack([((x - code) ** 2).sum(1) for code in self.codes], 1)


class Affine(nn.Module):
    def __init__(self, scale, offset):
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x):
        return self.scale * x + self.offset


def lenet5_1998():
    """LeCun et al. 1998, section II.B: background -0.1, also around the digit, and ink 1.175."""
    return Chain(
        scaled=Affine(1.275, -0.1),
        pad=nn.ConstantPad2d(2, -0.1),
        **conv("c1", 1, 6, 5, act=Squash),
        s2=Subsampling(6),
        s2_act=Squash(),
        c3=TableConvolution(),
        c3_act=Squash(),
        s4=Subsampling(16),
        s4_act=Squash(),
        **conv("c5", 16, 120, 5, act=Squash),
        flatten=nn.Flatten(),
        **dense("embedding", 120, 84, act=Squash),
        logits=CodeDistance(),
    )


def convnetjs():
    """conv 5×5, ReLU and pool 2×2 with 16, 20 and 20 filters, then softmax, of pixels from -0.5 to 0.5."""
    layers = {"centred": Affine(1, -0.5)}
    for i, (inputs, filters) in enumerate(((3, 16), (16, 20), (20, 20)), 1):
        layers |= {**conv(f"conv{i}", inputs, filters, 5, padding=2), f"pool{i}": nn.MaxPool2d(2)}
    return Chain(**layers, flatten=nn.Flatten(), logits=nn.Linear(20 * 4 * 4, 10))


def mlp():
    """LeCun et al. 1998, section III.C.3, 28×28-300-10, with ReLU."""
    return Chain(flatten=nn.Flatten(), **dense("embedding", 28 * 28, 300), logits=nn.Linear(300, 10))


def simple_cnn():
    """Two valid 3×3 convolutions, 32 and 64 wide, each with a 2×2 maximum; 1,024 hidden units."""
    return Chain(
        **conv("conv1", 1, 32, 3),
        pool1=nn.MaxPool2d(2),
        **conv("conv2", 32, 64, 3),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        **dense("embedding", 64 * 5 * 5, 1024),
        logits=nn.Linear(1024, 10),
    )


def five_layer_cnn():
    """Lindholm et al. 2022, example 6.3. For 5×5 with stride 2 TensorFlow pads one pixel before and two behind."""
    return Chain(
        **conv("conv1", 1, 4, 5, padding=2),
        pad=nn.ZeroPad2d((1, 2, 1, 2)),
        **conv("conv2", 4, 8, 5, stride=2),
        **conv("conv3", 8, 12, 4, stride=2, padding=1),
        flatten=nn.Flatten(),
        **dense("embedding", 12 * 7 * 7, 200),
        logits=nn.Linear(200, 10),
    )


def vgg_digits():
    """3×3 convolutions with batch normalization: twice 16 wide without padding, twice 64, twice 128."""
    layers, inputs = {}, 1
    for block, (filters, padding) in enumerate(((16, 0), (64, 1), (128, 1)), 1):
        for i in (1, 2):
            layers[f"block{block}_conv{i}"] = nn.Conv2d(inputs, filters, 3, padding=padding, bias=False)
            layers[f"block{block}_conv{i}_norm"] = nn.BatchNorm2d(filters, eps=1e-3)
            layers[f"relu{block}{i}"] = nn.ReLU()
            inputs = filters
        layers[f"pool{block}"] = nn.MaxPool2d(2)
    return Chain(**layers, flatten=nn.Flatten(), logits=nn.Linear(128 * 3 * 3, 10))


def airbench():
    """Jordan 2024, section 3: 2×2 patches whitened, three groups of 3×3 convolutions, the first of each pooled."""
    mean, deviation = (torch.tensor(of)[:, None, None] for of in ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)))
    layers = {"normalized": Affine(1 / deviation, -mean / deviation), "whiten": nn.Conv2d(3, 24, 2), "gelu": nn.GELU()}
    inputs = 24
    for block, filters in enumerate((64, 256, 256), 1):
        for i, before in ((1, inputs), (2, filters)):
            conv = f"block{block}_conv{i}"
            layers[conv] = nn.Conv2d(before, filters, 3, padding=1, bias=False)
            layers |= {f"pool{block}": nn.MaxPool2d(2)} if i == 1 else {}
            layers[f"{conv}_bn"] = nn.BatchNorm2d(filters, eps=1e-12, momentum=0.4)
            layers[f"{conv}_bn"].weight = None
            layers[f"silu{block}{i}"] = nn.SiLU()
        inputs = filters
    layers["whiten"].requires_grad_(False)
    layers |= {"pool": nn.MaxPool2d(3), "flatten": nn.Flatten(), "logits": nn.Linear(256, 10, bias=False)}
    return Chain(**layers)


PADDED, CEILING = nn.MaxPool2d(3, 2, padding=1), nn.MaxPool2d(3, 2, ceil_mode=True)
# How to make each, and the channels and side of its images; those of the U-Nets are small.
STATEMENTS = {
    "mlp": (mlp, 1, 28),
    "simple_cnn": (simple_cnn, 1, 28),
    "five_layer_cnn": (five_layer_cnn, 1, 28),
    "lenet5": (lenet5, 1, 28),
    "lenet5_1998": (lenet5_1998, 1, 28),
    "lenet_homework": (lenet_homework, 3, 32),
    "vgg_digits": (vgg_digits, 1, 28),
    "convnetjs": (convnetjs, 3, 32),
    "airbench": (airbench, 3, 32),
    "alexnet": (alexnet, 3, 227),
    "alexnet_one_tower": (lambda: alexnet(groups=1), 3, 227),
    "zfnet": (zfnet, 3, 224),
    "vgg16c": (vgg16c, 3, 224),
    "googlenet": (lambda: GoogLeNet(heads=False), 3, 224),
    "googlenet_aux": (lambda: GoogLeNet(heads=True), 3, 224),
    "plain18": (lambda: imagenet18(None, PADDED), 3, 224),
    "resnet20": (lambda: cifar20("A"), 3, 32),
    "resnet20_b": (lambda: cifar20("B"), 3, 32),
    "plain20": (lambda: cifar20(None), 3, 32),
    "se_resnet20": (lambda: cifar20("A", excited=True), 3, 32),
    "se_resnet18": (lambda: imagenet18("B", CEILING, excited=True), 3, 224),
    "unet": (lambda: UNet(3, 1), 3, 64),
    "unet_2015": (lambda: UNet(1, 2, padding=0), 1, 188),
    "unet_dong": (lambda: UNet(4, 1, up=3, skip_first=False), 4, 64),
    "unet_buda": (lambda: UNet(3, 1, width=32, norm=True, skip_first=False), 3, 64),
}


def statement(name):
    """(module with random weights that keep the size of signals, (channels, height, width) of its images)."""
    make, channels, side = STATEMENTS[name]
    model = make()
    kernels = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    for kernel in kernels:
        nn.init.kaiming_normal_(kernel)
    if any(isinstance(module, nn.LocalResponseNorm) for module in model.modules()):
        # As if pixels went to 255, for which the constants were chosen; of small signals nothing would be seen.
        kernels[0].data *= 255
    return model, (channels, side, side)
